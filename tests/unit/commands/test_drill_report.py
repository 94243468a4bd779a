"""A drill's report is kept as it is, and as a signed statement that compliance believes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest

from cortexctl import evidence
from cortexctl.compliance import controls
from cortexctl.compliance.checks import recovery
from cortexctl.deployment import Deployment
from cortexctl.drill import report, scenario
from cortexctl.drill.report import Report
from cortexctl.errors import Refused
from cortexctl.platforms.local import preparation
from cortexctl.platforms.local.account import Account

NOW = datetime.now(UTC)


def made(name: str) -> Report:
    """Return a report of a drill that has passed just now."""
    return Report(
        id=f"{NOW.strftime('%Y%m%dT%H%M%SZ')}-{name}", drill=name, deployment="trial", outcome="passed",
        reasons=[], fault="kill-node", target="eu-west-1", fault_landed=True, rto_seconds=2.0,
        rpo_seconds=0.0, acknowledged=9, lost=0, ghosts=0, objectives=scenario.load(name).objectives,
        first_write_seconds=1.0, longest_gap_seconds=1.0, refused=0, unknown=0, unknown_turned_up=0,
        bad_rounds=0, lost_ids=[], ghost_ids=[], primary_before="eu-west", primary_after="eu-west",
        converged=True, disagreements=[], nodes=[], evidence=None, started=NOW.isoformat(),
        finished=NOW.isoformat(), timeline=[],
    )  # fmt: skip


@pytest.fixture
def whole(deployment: Deployment) -> Deployment:
    preparation.prepare(deployment, Account())
    report.directory(deployment).mkdir()
    return deployment


def test_reports_are_signed_and_prove_that_all_drills_were_passed(whole: Deployment) -> None:
    control = next(one for one in controls.load().all if one.check == "drills")
    bounds = control.measured
    assert isinstance(bounds, recovery.DrillBounds)
    paths = {name: report.write(whole, made(name)) for name in bounds.drills}
    kept = evidence.kept(whole, "drill")
    assert len(kept) == len(bounds.drills) == 3
    for one in kept:
        assert one.statement
        content = paths[one.statement.predicate["drill"]].read_bytes()
        assert one.statement.subject[0].digest["sha256"] == hashlib.sha256(content).hexdigest()
        assert msgspec.convert(one.statement.predicate, Report) == msgspec.json.decode(content, type=Report)
    assert all(item.ok and item.digest for item in recovery.drills(kept, bounds, NOW))
    changed = kept[0].path
    changed.write_bytes(changed.read_bytes().replace(b'"sig": "', b'"sig": "AAAA'))
    items = recovery.drills(evidence.kept(whole, "drill"), bounds, NOW)
    assert [item.ok for item in items].count(False) == 1


def test_a_report_that_cannot_be_signed_is_kept_all_the_same(whole: Deployment) -> None:
    (whole.operator_directory / "statements.key").unlink()
    with pytest.raises(Refused, match="cannot be signed"):
        report.write(whole, made("node-loss"))
    assert report.read(whole, None) == made("node-loss")
    assert evidence.kept(whole, "drill") == []
