"""Judgement of a drill by its history alone: pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cortexctl.drill.history import Findings, History, Round
from cortexctl.drill.scenario import Objectives

Outcome = Literal["passed", "missed", "invalid", "error"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A drill's outcome with the reasons when it isn't passed. Seconds; None when there was no recovery."""

    outcome: Outcome
    reasons: tuple[str, ...]
    rto_seconds: float | None
    rpo_seconds: float
    first_write_seconds: float | None
    longest_gap_seconds: float
    lost: tuple[str, ...]
    ghosts: tuple[str, ...]


def steady(rounds: Sequence[Round], writers: int, needed: int) -> bool:
    """Return whether the last `needed` rounds of every writer were good."""
    series = _by_writer(rounds)
    return len(series) == writers and all(
        len(own) >= needed and all(one.good for one in own[-needed:]) for own in series.values()
    )


def recovery(rounds: Sequence[Round], fault: float, needed: int, writers: int) -> float | None:
    """Return the seconds from the fault to the first of `needed` good rounds in a row, of the last writer.

    Only rounds that began after the fault count. None while a writer has no such rounds.
    """
    series = _by_writer(one for one in rounds if one.started >= fault)
    ends = [_first_of_run(own, needed) for own in series.values()]
    if len(series) < writers or None in ends:
        return None
    return max(end for end in ends if end is not None) - fault


def judge(
    history: History,
    findings: Findings,
    objectives: Objectives,
    *,
    fault: float,
    landed: bool,
    needed: int,
    writers: int,
    returned: bool,
    disagreements: Sequence[str],
) -> Judgement:
    """Judge a drill. `returned`: what was ended is back; `disagreements`: where nodes differ at the end."""
    rto = recovery(history.rounds, fault, needed, writers)
    lost = tuple(sorted(set(findings.missing)))
    ghosts = tuple(sorted({id_ for id_, _ in findings.ghosts}))
    misses = _misses(objectives, rto, len(lost), len(ghosts))
    if not returned:
        misses.append("What was ended did not come back in time.")
    misses.extend(disagreements)
    doubts = _doubts(history, fault, landed)
    outcome: Outcome = "invalid" if doubts else "missed" if misses else "passed"
    return Judgement(
        outcome=outcome,
        reasons=(*doubts, *misses),
        rto_seconds=rto,
        rpo_seconds=_rpo_seconds(history, set(lost), fault),
        first_write_seconds=_first_write(history, fault, rto),
        longest_gap_seconds=_longest_gap(history),
        lost=lost,
        ghosts=ghosts,
    )


def _misses(objectives: Objectives, rto: float | None, lost: int, ghosts: int) -> list[str]:
    misses = []
    if rto is None:
        misses.append("Writes and reads did not come back.")
    elif rto > objectives.rto_seconds:
        misses.append(f"Recovery took {rto:.2f} s; the objective is {objectives.rto_seconds:g} s.")
    if lost > objectives.lost:
        misses.append(f"{lost} acknowledged writes are gone; the objective is {objectives.lost}.")
    if ghosts > objectives.ghosts:
        misses.append(f"{ghosts} refused writes exist; the objective is {objectives.ghosts}.")
    return misses


def _doubts(history: History, fault: float, landed: bool) -> list[str]:
    """Return why the drill proves nothing."""
    doubts = []
    if not landed:
        doubts.append("There is no evidence that the fault landed.")
    if not any(write.settled < fault for write in history.of("acknowledged")):
        doubts.append("No write was acknowledged before the fault: nothing could be lost.")
    return doubts


def _first_write(history: History, fault: float, rto: float | None) -> float | None:
    """Return the seconds from the fault to the first acknowledgement after the longest silence it caused.

    What is acknowledged in the first milliseconds, while the fault is still landing, is no recovery; a
    silence after the recovery has other causes.
    """
    end = fault + rto if rto is not None else float("inf")
    times = sorted(write.settled for write in history.of("acknowledged"))
    ends = [(later - sooner, later) for sooner, later in pairwise(times) if later >= fault and sooner < end]
    return max(ends)[1] - fault if ends else None


def _longest_gap(history: History) -> float:
    """Return the longest time in which nothing was acknowledged to any writer."""
    times = sorted(write.settled for write in history.of("acknowledged"))
    return max((later - sooner for sooner, later in pairwise(times)), default=0.0)


def _rpo_seconds(history: History, lost: set[str], fault: float) -> float:
    """Return how long before the fault the oldest lost write was acknowledged; 0 when none is lost."""
    return max((max(fault - write.settled, 0.0) for write in history.writes if write.id in lost), default=0.0)


def _by_writer(rounds: Iterable[Round]) -> dict[int, list[Round]]:
    series: dict[int, list[Round]] = defaultdict(list)
    for one in rounds:
        series[one.writer].append(one)
    for own in series.values():
        own.sort(key=lambda one: one.started)
    return series


def _first_of_run(rounds: list[Round], needed: int) -> float | None:
    good = 0
    for index, one in enumerate(rounds):
        good = good + 1 if one.good else 0
        if good == needed:
            return rounds[index - needed + 1].ended
    return None
