"""What a check finds: one item for each thing that was looked at, each beside its bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from cortex_runtime.formats import decoding

F = TypeVar("F")
B = TypeVar("B", bound="Bounds")


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a check measures against; the base, of a check that needs none."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what it is, what was seen of it, what that must be, whether it is.

    `digest` is the SHA-256 of the statement, or the root of the tree, that it was read from.
    """

    subject: str
    observed: str
    bound: str
    ok: bool
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Check(Generic[F, B]):
    """A check: what it reads of a deployment (Source), and how that is judged.

    `looks_at` says in words what is read; `nothing` why a control does not apply when there is none of it.
    Nothing passes without having been seen: no items, no pass.
    """

    bounds: type[B]
    looks_at: str
    read: Callable[[Any], F]
    judge: Callable[[F, B, datetime], list[Item]]
    nothing: str = "There is nothing of it."


def age_in_days(at: str | None, now: datetime) -> float | None:
    """Return how long ago a time (ISO 8601) was, None when nobody knows it."""
    if not at:
        return None
    moment = datetime.fromisoformat(at)
    return (now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))) / timedelta(days=1)


def told_age(days: float | None) -> str:
    """Return an age in words."""
    if days is None:
        return "of unknown age"
    return f"{days:.1f} days old" if days >= 1 else f"{days * 24:.1f} hours old"


def is_within(days: float | None, most: float) -> bool:
    """Tell whether an age is known, is no time to come, and is at most so many days."""
    return days is not None and -1.0 <= days <= most


decoding.learn(globals())
