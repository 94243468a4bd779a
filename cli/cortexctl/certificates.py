"""What there is to say about certificates: how long each lasts, and who shows another than its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

State = Literal["ok", "due", "expiring", "expired"]
EXPIRING = timedelta(days=7)
LAST_DAY = timedelta(days=1)
_WORST: tuple[State, ...] = ("ok", "due", "expiring", "expired")


@dataclass(frozen=True, slots=True)
class Found:
    """A certificate as it was found: its serial in hexadecimal digits, and its end."""

    serial: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of a deployment.

    `place` is a region, the operator or the CA. `found` is what its file holds, None when that is missing or
    damaged; `shown` what each listener that answers shows. It is due when less than `due_before` is left.
    """

    place: str
    name: str
    subject: str
    path: Path
    due_before: timedelta
    found: Found | None
    shown: dict[str, Found]
    now: datetime

    @property
    def stale(self) -> tuple[str, ...]:
        """The listeners that show another than the file's."""
        return tuple(
            listener for listener, one in self.shown.items() if self.found and one.serial != self.found.serial
        )

    @property
    def left(self) -> timedelta:
        """How long the first to expire of what is in the file and what is shown still lasts."""
        if self.found is None:
            return timedelta(0)
        return min(one.expires for one in (self.found, *self.shown.values())) - self.now

    @property
    def state(self) -> State:
        """How it is: ok, due to be renewed, expiring within a week, or expired (or damaged)."""
        if self.left <= timedelta(0):
            return "expired"
        return "expiring" if self.left < EXPIRING else "due" if self.left < self.due_before else "ok"

    def row(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "place": self.place,
            "name": self.name,
            "subject": self.subject,
            "state": self.state,
            "expires": self.found.expires.isoformat() if self.found else None,
            "days_left": round(self.left / timedelta(days=1), 1),
            "serial": self.found.serial if self.found else None,
            "in_use": {listener: one.serial for listener, one in self.shown.items()},
            "shown_by": [f"{one} (older)" if one in self.stale else one for one in self.shown],
            "path": str(self.path),
        }


def worst(certificates: Iterable[Certificate]) -> State:
    """Return the worst of their states."""
    return max((one.state for one in certificates), key=_WORST.index, default="ok")


def judge(certificates: Iterable[Certificate]) -> tuple[list[str], list[str]]:
    """Return what keeps a deployment from being healthy, and what is to be done soon.

    A last day is not healthy: whoever looks once a day hears of it before anything is refused.
    """
    faults: list[str] = []
    warnings: list[str] = []
    for one in certificates:
        if one.state in ("expired", "expiring"):
            (faults if one.left < LAST_DAY else warnings).append(_ending(one))
        if one.stale:
            warnings.append(f"{', '.join(one.stale)} of {one.place} still shows an older certificate")
    return faults, warnings


def _ending(one: Certificate) -> str:
    name = f"The certificate {one.name} of {one.place}"
    if one.found is None:
        return f"{name} is missing or damaged"
    days = one.left / timedelta(days=1)
    return f"{name} has expired" if days <= 0 else f"{name} expires in {days:.1f} days"
