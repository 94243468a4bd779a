"""What one look at a deployment finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked at; `reasons` says all that keeps it from being healthy, `warnings` what soon will."""

    looked_at: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


def together(looks: Iterable[Look]) -> Look:
    """Return several looks as one."""
    found = tuple(looks)
    return Look(
        tuple(part for look in found for part in look.looked_at),
        tuple(reason for look in found for reason in look.reasons),
        tuple(warning for look in found for warning in look.warnings),
    )
