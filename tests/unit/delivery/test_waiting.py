"""Waiting for a deployment to be well so many times in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from cortexctl.probing import waiting
from cortexctl.probing.look import Look, together

WELL, ILL = Look(("it",), (), ()), Look(("it",), ("it is ill",), ("soon",))


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSE", 0.0)


def looks(*first: Look, then: Look) -> Callable[[], Look]:
    source: Iterator[Look] = chain(first, repeat(then))
    return lambda: next(source)


def test_one_look_is_enough_unless_more_are_asked_for() -> None:
    found = waiting.wait(looks(then=WELL), count=1, seconds=0, tell=pytest.fail)
    assert (found.in_a_row, found.looks) == (1, 1)
    assert waiting.wait(looks(then=WELL), count=3, seconds=0, tell=pytest.fail).looks == 3


def test_an_ill_one_begins_the_row_anew_while_there_is_time() -> None:
    told: list[str] = []
    found = waiting.wait(looks(WELL, WELL, ILL, then=WELL), count=3, seconds=60, tell=told.append)
    assert (found.in_a_row, found.looks) == (3, 6)
    assert [line.split("] ")[1] for line in told] == ["it is ill", "healthy"]


def test_without_time_the_first_ill_one_ends_it() -> None:
    found = waiting.wait(looks(WELL, then=ILL), count=5, seconds=0, tell=pytest.fail)
    assert (found.in_a_row, found.looks, found.last.reasons) == (0, 2, ("it is ill",))


def test_looks_add_up() -> None:
    both = together([WELL, ILL])
    assert not both.healthy
    assert (both.looked_at, both.reasons, both.warnings) == (("it", "it"), ("it is ill",), ("soon",))
