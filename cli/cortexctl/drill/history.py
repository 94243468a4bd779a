"""What a canary did and was told: the record that a drill is judged by. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex_runtime.formats.messages import Position

Status = Literal["acknowledged", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Write:
    """One concept that was written once, though perhaps sent several times under one idempotency key.

    Acknowledged: the service said so at `settled`, with the position. Refused: it certainly did not
    happen. Unknown: it may have happened or not, and may still turn up.
    """

    id: str
    text: str
    status: Status
    sent: float
    settled: float
    attempts: int
    position: Position | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt of a writer to write a concept and to read it again. A writer's rounds never overlap."""

    writer: int
    started: float
    ended: float
    good: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """All writes and rounds of a canary."""

    writes: tuple[Write, ...]
    rounds: tuple[Round, ...]

    def of(self, status: Status) -> tuple[Write, ...]:
        """Return the writes of this status."""
        return tuple(write for write in self.writes if write.status == status)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found afterwards, by id: acknowledged writes that are gone, refused ones that exist
    (with the nodes that have them), unknown ones that exist."""

    missing: tuple[str, ...]
    ghosts: tuple[tuple[str, str], ...]
    turned_up: tuple[str, ...]
