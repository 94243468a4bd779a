"""Checks of retention: what is set beside the policy, and the oldest thing that is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cortex_runtime.formats import decoding
from cortexctl.compliance.finding import Bounds, Item, told_age
from cortexctl.platforms.base import KeptFiles
from cortexctl.retention import Policy, days


class SlackBounds(Bounds, frozen=True, kw_only=True):
    """Days by which something may be removed late: logs go by whole days, and once an hour."""

    slack_days: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The policy, and what is kept: files, and the audit log (`audit` as PostgreSQL writes an interval)."""

    policy: Policy
    files: tuple[KeptFiles, ...]
    audit: str | None
    oldest_audit: datetime | None


def as_set(found: Kept, bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """What is set is what the policy says, everywhere."""
    items = [
        Item(
            subject=f"{one.what} of {one.place}",
            observed="not set" if one.days is None else f"{one.days} days",
            bound=getattr(found.policy, one.what),
            ok=one.days == days(getattr(found.policy, one.what)),
        )
        for one in found.files
    ]
    audit = Item(
        subject="audit in the database", observed=found.audit or "not set", bound=found.policy.audit,
        ok=found.audit == found.policy.audit,
    )  # fmt: skip
    return [*items, audit]


def held(found: Kept, bounds: SlackBounds, now: datetime) -> list[Item]:
    """Nothing is there that is older than the policy says."""
    every = [(one.what, one.place, one.oldest) for one in found.files]
    every.append(("audit", "the database", found.oldest_audit))
    slack = timedelta(days=bounds.slack_days)
    return [
        Item(
            subject=f"oldest of {what} of {place}",
            observed="nothing is there" if oldest is None else told_age((now - oldest) / timedelta(days=1)),
            bound=f"at most {getattr(found.policy, what)}",
            ok=oldest is None or now - oldest <= _longest(found.policy, what) + slack,
        )
        for what, place, oldest in every
    ]


def _longest(policy: Policy, what: str) -> timedelta:
    """Return an age, leap days included: the database goes by the calendar."""
    age = getattr(policy, what)
    years = int(age.split()[0]) if "year" in age else 0
    return timedelta(days=days(age) + years // 4 + bool(years))


decoding.learn(globals())
