"""Drills and their reports in words."""

from __future__ import annotations

from typing import Any

import msgspec

from cortexctl.drill.report import Report
from cortexctl.drill.scenario import Scenario
from cortexctl.errors import CortexctlError, ObjectiveMissed


def scenario(one: Scenario) -> dict[str, Any]:
    """Return a scenario as a row."""
    return {
        "name": one.name,
        "ends": f"{one.fault.kind} {one.fault.target}",
        "rto_seconds": one.objectives.rto_seconds,
        "description": one.description,
    }


def plan(one: Scenario, target: str | None) -> dict[str, Any]:
    """Return what a run would do."""
    content = msgspec.to_builtins(one)
    content["fault"]["target"] = target or one.fault.target
    return {"would_run": one.name, **content}


def line(one: Report) -> dict[str, Any]:
    """Return a report as a row."""
    names = ("id", "outcome", "target", "rto_seconds", "acknowledged", "lost", "ghosts")
    return {name: getattr(one, name) for name in names}


def report(one: Report, *, full: bool) -> dict[str, Any]:
    """Return a report: all of it, or what a person wants to see first."""
    if full:
        content: dict[str, Any] = msgspec.to_builtins(one)
        return content
    names = (
        "id", "outcome", "reasons", "fault", "target", "fault_landed", "rto_seconds", "first_write_seconds",
        "longest_gap_seconds", "acknowledged", "refused", "unknown", "lost", "ghosts", "rpo_seconds",
        "converged", "primary_before", "primary_after",
    )  # fmt: skip
    shown = {name: getattr(one, name) for name in names}
    shown["reasons"] = " ".join(one.reasons) or "-"
    return shown


def verdict(one: Report) -> None:
    """Raise ObjectiveMissed when a drill was missed or invalid, CortexctlError when it was not finished."""
    if one.outcome == "passed":
        return
    why = " ".join(one.reasons)
    if one.outcome == "error":
        raise CortexctlError(
            f"The drill {one.drill} could not be finished.", why=why, todo="Look at cortexctl status and up."
        )
    raise ObjectiveMissed(
        f"The drill {one.drill} was {one.outcome}.",
        why=why,
        todo=f"Read cortexctl drill report {one.id} -o json.",
    )
