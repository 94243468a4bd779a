"""A report: each control as it was found, by which criteria, and the whole as a signed statement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from cortex_runtime.formats import decoding
from cortex_runtime.formats.statements import Subject
from cortexctl import access, durable, evidence
from cortexctl.compliance import controls
from cortexctl.compliance.checks import CHECKS
from cortexctl.compliance.controls import Control, Controls
from cortexctl.compliance.criteria import CRITERIA
from cortexctl.compliance.finding import Check, Item
from cortexctl.compliance.source import Source
from cortexctl.deployment import Deployment
from cortexctl.errors import CortexctlError, ObjectiveMissed, Refused
from cortexctl.platforms.base import Platform

Outcome = Literal["passed", "failed", "not applicable"]
KIND = "compliance"
REPORT, PAGE = "report.json", "report.html"
SHOWN = 3


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A control as it was found at a time (ISO 8601). `reason` says why it is not passed, in words."""

    id: str
    title: str
    criteria: list[str]
    check: str
    outcome: Outcome
    reason: str
    looked_at: str
    at: str
    bounds: dict[str, Any]
    items: list[Item]
    remedy: str | None


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """A criterion: failed when a control of it has, passed when one has passed and none has failed."""

    id: str
    title: str
    outcome: Outcome
    controls: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `policy` is the SHA-256 of policies/compliance.yaml."""

    deployment: str
    id: str
    made_at: str
    by: str
    policy: str
    outcome: Literal["passed", "failed"]
    passed: int
    failed: int
    not_applicable: int
    criteria: list[Criterion]
    controls: list[Result]


def make(deployment: Deployment, platform: Platform) -> Report:
    """Check all controls. What cannot be asked has failed, and the others are checked all the same.

    Raises Refused when the controls are not usable.
    """
    known = controls.load()
    with Source(deployment, platform) as source:
        results = [examine(control, CHECKS[control.check], source) for control in known.all]
    return whole(deployment, known, results)


def examine(control: Control, check: Check[Any, Any], source: Source) -> Result:
    """Return how a control is found to be."""
    outcome: Outcome
    try:
        items = check.judge(check.read(source), control.measured, source.now)
    except Exception as error:
        # Whatever it is, even an error of ours: nothing was seen, and the others are to be told.
        items, outcome, reason = [], "failed", f"could not be read: {_words(error)}"
    else:
        outcome, reason = _judged(items, check.nothing)
    return Result(
        id=control.id, title=control.title, criteria=control.criteria, check=control.check, outcome=outcome,
        reason=reason, looked_at=check.looks_at, at=_iso(datetime.now(UTC)), bounds=control.bounds,
        items=items, remedy=control.remedy if outcome == "failed" else None,
    )  # fmt: skip


def write(deployment: Deployment, report: Report, page: bytes, directory: Path) -> dict[str, Path]:
    """Write a report, signed, and its page, each at once or not at all. Raises Refused.

    The page first: the statement has its digest, so that the two belong together or are seen not to.
    """
    subjects = [
        Subject(f"deployment/{report.id}", {}),
        Subject("policies/compliance.yaml", {"sha256": report.policy}),
        Subject(PAGE, {"sha256": hashlib.sha256(page).hexdigest()}),
    ]
    statement = evidence.signed(deployment, KIND, subjects, msgspec.to_builtins(report))
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(directory / PAGE, page)
        durable.write(directory / REPORT, statement)
    except OSError as error:
        raise Refused(
            f"The report cannot be written to {directory}.", why=str(error), todo="Name another directory."
        ) from error
    return {"report": directory / REPORT, "page": directory / PAGE}


def verdict(report: Report) -> None:
    """Raise ObjectiveMissed when a control has failed."""
    failed = [one for one in report.controls if one.outcome == "failed"]
    if failed:
        raise ObjectiveMissed(
            f"{len(failed)} of {len(report.controls)} controls of deployment {report.deployment!r} failed.",
            why=", ".join(one.id for one in failed) + ".",
            todo="; ".join(f"{one.id}: {one.remedy}" for one in failed) + ".",
        )


def whole(deployment: Deployment, known: Controls, results: list[Result]) -> Report:
    """Return the report of what was found."""
    counts = {outcome: _count(results, outcome) for outcome in ("passed", "failed", "not applicable")}
    return Report(
        deployment=deployment.name, id=deployment.id, made_at=_iso(datetime.now(UTC)), by=access.actor(),
        policy=known.digest, outcome="failed" if counts["failed"] else "passed", passed=counts["passed"],
        failed=counts["failed"], not_applicable=counts["not applicable"], criteria=_by_criterion(results),
        controls=results,
    )  # fmt: skip


def _by_criterion(results: list[Result]) -> list[Criterion]:
    found = []
    for id_, title in CRITERIA.items():
        mine = [one for one in results if id_ in one.criteria]
        if mine:
            outcomes = {one.outcome for one in mine}
            outcome: Outcome = (
                "failed" if "failed" in outcomes else "passed" if "passed" in outcomes else "not applicable"
            )
            controls_ = [one.id for one in mine]
            found.append(Criterion(id=id_, title=title, outcome=outcome, controls=controls_))
    return found


def _judged(items: list[Item], nothing: str) -> tuple[Outcome, str]:
    wrong = [item for item in items if not item.ok]
    if not items:
        return "not applicable", nothing
    if not wrong:
        return "passed", ""
    shown = "; ".join(f"{item.subject}: {item.observed} (must be: {item.bound})" for item in wrong[:SHOWN])
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return "failed", shown + more


def _count(results: Iterable[Result], outcome: str) -> int:
    return sum(one.outcome == outcome for one in results)


def _words(error: Exception) -> str:
    text = f"{error.what} {error.why}" if isinstance(error, CortexctlError) else str(error) or repr(error)
    return " ".join(text.split())


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


decoding.learn(globals())
