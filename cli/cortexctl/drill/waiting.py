"""Waiting for something with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL = 0.05
SLOW_POLL = 1.0


def until(holds: Callable[[], bool], seconds: float, poll: float = POLL) -> bool:
    """Wait until something holds; False when it does not within `seconds`. It is asked once at least."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(poll)
    return True
