"""A drill's report out of what was seen and judged."""

from __future__ import annotations

import time
from datetime import datetime

from cortexctl.deployment import Deployment
from cortexctl.drill.history import Findings, History
from cortexctl.drill.judging import Judgement
from cortexctl.drill.report import Event, Evidence, NodeState, Report
from cortexctl.drill.scenario import Scenario
from cortexctl.drill.timeline import iso
from cortexctl.health import Answer
from cortexctl.platforms.base import Landing

SHOWN_IDS = 1000


def build(
    deployment: Deployment,
    scenario: Scenario,
    *,
    target: str,
    judgement: Judgement,
    history: History,
    findings: Findings,
    landing: Landing | None,
    primaries: tuple[str | None, str | None],
    answers: tuple[Answer, ...],
    disagreements: tuple[str, ...],
    trouble: str,
    started: str,
    events: list[Event],
) -> Report:
    """Return the report. `trouble` says why a drill could not be finished: its outcome is error then."""
    return Report(
        id=f"{datetime.fromisoformat(started).strftime('%Y%m%dT%H%M%SZ')}-{scenario.name}",
        drill=scenario.name,
        deployment=deployment.name,
        outcome="error" if trouble else judgement.outcome,
        reasons=[trouble] if trouble else list(judgement.reasons),
        fault=scenario.fault.kind,
        target=target,
        fault_landed=landing is not None and landing.landed,
        rto_seconds=_rounded(judgement.rto_seconds),
        rpo_seconds=round(judgement.rpo_seconds, 3),
        acknowledged=len(history.of("acknowledged")),
        lost=len(judgement.lost),
        ghosts=len(judgement.ghosts),
        objectives=scenario.objectives,
        first_write_seconds=_rounded(judgement.first_write_seconds),
        longest_gap_seconds=round(judgement.longest_gap_seconds, 3),
        refused=len(history.of("refused")),
        unknown=len(history.of("unknown")),
        unknown_turned_up=len(findings.turned_up),
        bad_rounds=sum(not one.good for one in history.rounds),
        lost_ids=list(judgement.lost[:SHOWN_IDS]),
        ghost_ids=list(judgement.ghosts[:SHOWN_IDS]),
        primary_before=primaries[0],
        primary_after=primaries[1],
        converged=not trouble and not disagreements,
        disagreements=list(disagreements),
        nodes=[_state(answer) for answer in answers],
        evidence=_evidence(landing),
        started=started,
        finished=iso(time.time()),
        timeline=events,
    )


def _evidence(landing: Landing | None) -> Evidence | None:
    if landing is None:
        return None
    return Evidence(
        at=iso(landing.at),
        target=landing.target,
        ended=list(landing.processes),
        survivors=list(landing.survivors),
    )


def _state(answer: Answer) -> NodeState:
    if answer.report is None:
        return NodeState(name=answer.node.name, region=answer.node.region, status="lost", slots={})
    slots = {
        str(slot.slot): f"{slot.position.token}.{slot.position.seq} {slot.digest}"
        for slot in answer.report.slots
    }
    return NodeState(
        name=answer.node.name, region=answer.node.region, status=answer.report.status, slots=slots
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
