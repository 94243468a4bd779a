"""Drills are judged by histories: known good ones, and ones with every kind of fault in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_runtime.formats.messages import Position
from cortexctl.drill.history import Findings, History, Round, Write
from cortexctl.drill.judging import Judgement, judge, recovery, steady
from cortexctl.drill.scenario import Objectives

FAULT = 1000.0
NOTHING = Findings((), (), ())
OBJECTIVES = Objectives(rto_seconds=5.0, lost=0, ghosts=0)


def acknowledged(id_: str, at: float) -> Write:
    return Write(id_, "text", "acknowledged", at - 0.01, at, 1, Position(slot=1, token=1, seq=1))


def rounds(writer: int, *marks: tuple[float, bool]) -> list[Round]:
    return [Round(writer, at, at + 0.1, good) for at, good in marks]


def outage(writer: int = 0, *, back: float = 2.0) -> list[Round]:
    """Good until the fault, bad until `back` seconds after it, good again."""
    ticks = [FAULT - 2 + 0.5 * index for index in range(40)]
    return rounds(writer, *((at, at < FAULT or at >= FAULT + back) for at in ticks))


def history(**changes: Any) -> History:
    writes = (
        acknowledged("a", FAULT - 1),
        acknowledged("b", FAULT + 2.1),
        Write("c", "t", "refused", 1001, 1001, 1),
    )
    return History(changes.get("writes", writes), tuple(changes.get("rounds", outage())))


def judged(record: History, findings: Findings = NOTHING, **changes: Any) -> Judgement:
    facts: dict[str, Any] = {
        "fault": FAULT, "landed": True, "needed": 5, "writers": 1, "returned": True, "disagreements": (),
        **changes,
    }  # fmt: skip
    return judge(record, findings, OBJECTIVES, **facts)


def test_a_recovery_in_time_without_loss_passes() -> None:
    result = judged(history())
    assert (result.outcome, result.reasons, result.rpo_seconds) == ("passed", (), 0.0)
    assert result.rto_seconds == pytest.approx(2.1)
    assert result.first_write_seconds == pytest.approx(2.1)
    assert result.longest_gap_seconds == pytest.approx(3.1)


def test_what_is_acknowledged_while_the_fault_lands_is_no_first_write() -> None:
    landing = [acknowledged(f"l{index}", FAULT - 0.1 + 0.03 * index) for index in range(6)]
    after = [acknowledged(f"r{index}", FAULT + 2 + 0.1 * index) for index in range(6)]
    later = [acknowledged("s", FAULT + 9)]
    result = judged(history(writes=tuple(landing + after + later)))
    assert result.first_write_seconds == pytest.approx(2.0)
    assert result.longest_gap_seconds == pytest.approx(6.5)


def test_a_lost_write_misses_and_dates_the_loss() -> None:
    result = judged(history(), Findings(("a",), (), ()))
    assert (result.outcome, result.lost) == ("missed", ("a",))
    assert result.rpo_seconds == pytest.approx(1.0)


def test_a_write_lost_after_the_fault_loses_no_time_before_it() -> None:
    result = judged(history(), Findings(("b",), (), ()))
    assert (result.outcome, result.rpo_seconds) == ("missed", 0.0)


def test_a_ghost_on_one_node_misses_and_counts_once() -> None:
    result = judged(history(), Findings((), (("c", "eu-west-1"), ("c", "us-east-1")), ()))
    assert (result.outcome, result.ghosts) == ("missed", ("c",))


def test_an_unknown_write_that_turned_up_is_neither_lost_nor_a_ghost() -> None:
    writes = (acknowledged("a", FAULT - 1), Write("u", "t", "unknown", FAULT, FAULT + 9, 4))
    assert judged(history(writes=writes), Findings((), (), ("u",))).outcome == "passed"


def test_a_slow_recovery_misses() -> None:
    result = judged(history(rounds=outage(back=6.0)))
    assert result.outcome == "missed"
    assert "6.10 s" in result.reasons[0]


def test_no_recovery_misses() -> None:
    result = judged(history(rounds=outage(back=99.0)))
    assert (result.outcome, result.rto_seconds) == ("missed", None)


def test_without_evidence_nothing_passes() -> None:
    assert judged(history(), landed=False).outcome == "invalid"


def test_without_a_write_before_the_fault_nothing_passes() -> None:
    assert judged(history(writes=(acknowledged("b", FAULT + 1),))).outcome == "invalid"


def test_nodes_that_differ_miss() -> None:
    assert judged(history(), disagreements=("Slot 1 differs.",)).outcome == "missed"


def test_what_did_not_come_back_misses() -> None:
    assert judged(history(), returned=False).outcome == "missed"


def test_the_last_writer_to_recover_counts() -> None:
    both = outage(0, back=1.0) + outage(1, back=4.0)
    assert recovery(both, FAULT, 5, 2) == pytest.approx(4.1)
    assert recovery(both, FAULT, 5, 3) is None


def test_good_rounds_that_are_not_in_a_row_are_no_recovery() -> None:
    flapping = rounds(0, *((FAULT + index, index % 5 != 4) for index in range(50)))
    assert recovery(flapping, FAULT, 5, 1) is None
    assert recovery(flapping, FAULT, 4, 1) == pytest.approx(0.1)


def test_rounds_begun_before_the_fault_prove_nothing() -> None:
    early = rounds(0, *((FAULT - 0.01 * index, True) for index in range(1, 9)))
    assert recovery(early, FAULT, 5, 1) is None


def test_steady_needs_good_rounds_of_every_writer_at_the_end() -> None:
    good = rounds(0, *((index, True) for index in range(10)))
    assert steady(good, 1, 10)
    assert not steady(good, 2, 10)
    assert not steady(good, 1, 11)
    assert not steady([*good, *rounds(0, (11, False))], 1, 5)


@given(marks=st.lists(st.booleans(), max_size=60), needed=st.integers(1, 6))
def test_recovery_is_the_first_run_of_good_rounds(marks: list[bool], needed: int) -> None:
    series = rounds(0, *((FAULT + index, good) for index, good in enumerate(marks)))
    found = recovery(list(reversed(series)), FAULT, needed, 1)
    first = next(
        (i for i in range(len(marks)) if len(marks[i : i + needed]) == needed and all(marks[i : i + needed])),
        None,
    )
    assert found == (None if first is None else pytest.approx(first + 0.1))


@given(
    lost=st.sets(st.sampled_from(["a", "b"])),
    ghosts=st.booleans(),
    landed=st.booleans(),
    back=st.floats(0.5, 9.0),
)
def test_nothing_passes_that_has_a_blemish(lost: set[str], ghosts: bool, landed: bool, back: float) -> None:
    findings = Findings(tuple(lost), (("c", "n"),) if ghosts else (), ())
    result = judged(history(rounds=outage(back=back)), findings, landed=landed)
    assert result.rto_seconds is not None
    clean = landed and not lost and not ghosts and result.rto_seconds <= 5.0
    assert (result.outcome == "passed") == clean
    assert bool(result.reasons) == (not clean)
