"""Verdicts as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cortexctl.errors import Refused
from cortexctl.policy.evaluator import Verdict

SHOWN = 3


def rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the denials, one a row."""
    return [
        {
            "severity": verdict.rule.severity,
            "rule": verdict.rule.name,
            "title": verdict.rule.title,
            "address": denial.address,
            "message": denial.message,
            "remedy": verdict.rule.remedy,
        }
        for verdict in verdicts
        for denial in verdict.denials
    ]


def explain(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the verdicts, one rule a row: what it has looked at, and why it denies or passes."""
    return [
        {
            "rule": verdict.rule.name,
            "verdict": "denied" if verdict.denials else "passed",
            "severity": verdict.rule.severity,
            "title": verdict.rule.title,
            "why": " ".join(_why(verdict)),
            "remedy": verdict.rule.remedy,
            "looked_at": list(verdict.seen),
        }
        for verdict in verdicts
    ]


def refuse(verdicts: Sequence[Verdict], what: str) -> None:
    """Raise Refused, with the first denials, when there is any."""
    denials = [denial.message for verdict in verdicts for denial in verdict.denials]
    if denials:
        more = f" And {len(denials) - SHOWN} more." if len(denials) > SHOWN else ""
        raise Refused(
            f"The policies deny {what}: {len(denials)} times.",
            why=" ".join(denials[:SHOWN]) + more,
            todo="Do what the denials say; cortexctl policy check --explain has each rule's reasons.",
        )


def _why(verdict: Verdict) -> Iterator[str]:
    yield from (denial.message for denial in verdict.denials)
    if not verdict.seen:
        yield f"There is nothing that it looks at: {', '.join(verdict.rule.types)}."
    elif not verdict.denials:
        yield f"Nothing is wrong with the {len(verdict.seen)} that it has looked at."
