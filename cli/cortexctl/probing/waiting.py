"""Waiting until something has been well so many times in a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortexctl.probing.look import Look

PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last look, how many healthy ones in a row it ended, how many were taken, and the seconds."""

    last: Look
    in_a_row: int
    looks: int
    seconds: float


def wait(look: Callable[[], Look], *, count: int, seconds: float, tell: Callable[[str], None]) -> Outcome:
    """Look until `count` looks in a row are healthy, or one is not although `seconds` have passed.

    `tell` hears what is wrong whenever that changes.
    """
    began = time.monotonic()
    looks = row = 0
    told: tuple[str, ...] = ()
    while True:
        last = look()
        looks, row = looks + 1, row + 1 if last.healthy else 0
        passed = time.monotonic() - began
        if row >= count or (not last.healthy and passed >= seconds):
            return Outcome(last, row, looks, round(passed, 1))
        if last.reasons != told:
            told = last.reasons
            tell(f"[{passed:5.1f} s] {'; '.join(told) or 'healthy'}")
        time.sleep(PAUSE)
