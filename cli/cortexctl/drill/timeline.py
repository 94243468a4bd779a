"""The events of a drill: told as they happen, and kept for the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cortexctl.drill.report import Event


class Timeline:
    """Events in their order. `tell` gets each as a line when it happens."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._began = time.time()
        self._events: list[tuple[float, str, str]] = []

    def add(self, phase: str, event: str, *, at: float | None = None) -> None:
        """Add an event of now, or of another instant (seconds since 1970)."""
        instant = time.time() if at is None else at
        self._events.append((instant, phase, event))
        self._tell(f"{instant - self._began:7.2f} s  {phase:<8}  {event}")

    def events(self, fault: float | None) -> list[Event]:
        """Return all events by time, dated from the fault."""
        return [
            Event(
                at=iso(at),
                seconds=None if fault is None else round(at - fault, 3),
                phase=phase,
                event=event,
            )
            for at, phase, event in sorted(self._events, key=lambda entry: entry[0])
        ]


def iso(at: float) -> str:
    """Return an instant (seconds since 1970) as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
