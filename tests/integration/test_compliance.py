"""The compliance report of a running deployment: what it sees, and what it says when that is broken."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cortexctl.platforms.local import regions
from integration.running import Running, eventually

OLD = 100 * 86_400.0


def report(running: Running, to: Path) -> dict[str, dict[str, Any]]:
    """Return the controls of a report by id; a control fails whatever is done: nothing can be restored."""
    found = running.json("compliance", "report", "--to", str(to), expect=3)
    return {one["id"]: one for one in found["controls"]}


@contextmanager
def owner(running: Running) -> Iterator[psycopg.Connection]:
    with psycopg.connect(running.platform.owner(), autocommit=True) as connection:
        yield connection


def kept(running: Running) -> str:
    with owner(running) as connection:
        row = connection.execute("select kept::text from retention where what = 'audit'").fetchone()
    assert row
    return str(row[0])


@pytest.fixture
def old_log(running: Running) -> Iterator[Path]:
    path = running.deployment.regions[0].directory / "log" / "gone.20200101.log"
    path.write_text("a line\n")
    os.utime(path, (time.time() - OLD,) * 2)
    yield path
    path.unlink(missing_ok=True)


def test_a_report_sees_what_is_there_and_is_signed(running: Running, tenant: str, tmp_path: Path) -> None:
    running.run("concept", "put", tenant, "a", "something that is sealed")
    running.run("compliance", "review", "--by", "Ada", "--yes")
    found = report(running, tmp_path)
    outcomes = {id_: one["outcome"] for id_, one in found.items()}
    for id_ in (
        "keys-young", "rows-sealed", "rows-open", "access-reviewed", "duties-separated", "row-level-security",
        "operator-credentials", "tls-everywhere", "nothing-else-listens", "certificates-last",
        "audit-verifies", "audit-fresh", "healthy", "retention-set", "retention-held", "right-to-access",
        "right-to-erasure", "roles-approved", "no-drift", "one-version",
    ):  # fmt: skip
        assert outcomes[id_] == "passed", found[id_]
    assert outcomes["restore-proven"] == "failed"
    assert "no restore is on record" in found["restore-proven"]["reason"]
    assert outcomes["keyring-sealed"] == "failed"
    key = next(item for item in found["api-keys-used"]["items"] if tenant in item["subject"])
    assert "used" in key["observed"] and "not used" not in key["observed"]
    assert any(tenant in item["subject"] and item["digest"] for item in found["audit-verifies"]["items"])
    assert {item["observed"] for item in found["tls-everywhere"]["items"]} == {"TLS"}
    verified = running.json("evidence", "verify", str(tmp_path / "report.json"))
    assert [one["id"] for one in verified["statement"]["predicate"]["controls"]] == list(found)
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()
    events = running.json("audit", "trail", "--tenant", "-", "--action", "compliance.evidence")
    assert events[0]["result"] == "done"


def test_what_is_broken_for_real_is_told_and_up_mends_what_it_can(
    running: Running, tmp_path: Path, old_log: Path
) -> None:
    running.healthy()
    token_keys = running.deployment.operator_directory / "token-keys.json"
    with owner(running) as connection:
        connection.execute("update retention set kept = '10 years'")
    token_keys.chmod(0o644)
    try:
        found = report(running, tmp_path)
        for id_ in ("retention-set", "retention-held", "operator-credentials", "no-drift"):
            assert found[id_]["outcome"] == "failed", found[id_]
        assert "audit in the database: 10 years" in found["retention-set"]["reason"]
        assert "oldest of logs of eu-west: 100.0 days old" in found["retention-held"]["reason"]
        assert found["row-level-security"]["outcome"] == "passed"
        asked = running.run("up", expect=2)  # nobody shortens what is kept without being asked
        assert "--yes" in asked.stderr
        assert kept(running) == "10 years"
        assert "Nothing was changed" not in running.run("up", "--yes").stderr
        assert kept(running) == "7 years"
    finally:
        token_keys.chmod(0o600)
        with owner(running) as connection:
            connection.execute("update retention set kept = '7 years'")

    def written() -> dict[str, Any]:
        events = running.json("audit", "trail", "--tenant", "-", "--action", "retention.set")
        return dict(events[0])

    assert eventually(written)["reason"] == "7 years, was 10 years"
    running.run("audit", "verify")


def test_a_regions_upkeep_removes_what_is_past_its_age(running: Running, old_log: Path) -> None:
    running.healthy()
    region = running.deployment.regions[0]
    young = old_log.with_name("young.20200101.log")
    young.write_text("a line\n")
    current = region.directory / "log" / "patroni.log"
    assert current.stat().st_size
    supervisor = regions.tree_of(region).supervisor()
    os.kill(supervisor.pid("upkeep"), signal.SIGKILL)  # it is started again, and begins with a round

    def gone() -> None:
        assert not old_log.exists()

    eventually(gone)
    assert young.exists() and current.stat().st_size
    young.unlink()
