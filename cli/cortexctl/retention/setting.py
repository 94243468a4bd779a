"""What is set in a deployment beside what the policy says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cortexctl.errors import ObjectiveMissed
from cortexctl.platforms.base import KeptFiles, Platform
from cortexctl.retention.policy import FILES, Policy, days


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is kept for another time than the policy says; `before` is None when none was set.

    `shorter`: what is there now would be removed sooner, or at once.
    """

    what: str
    place: str
    before: str | None
    after: str
    shorter: bool

    def __str__(self) -> str:
        return f"{self.what} of {self.place} for {self.after} instead of {self.before or 'any time'}"


def changes(policy: Policy, platform: Platform) -> list[Change]:
    """Return what would have to change. Raises ObjectiveMissed when the database does not answer."""
    import psycopg  # noqa: PLC0415 - --help must be quick

    from cortexctl.retention import database  # noqa: PLC0415

    try:
        found = database.read(platform.owner(), policy.audit)
    except psycopg.Error as error:
        raise _not_asked(error) from error
    audit = Change("audit", "the database", found.kept, policy.audit, found.shorter)
    return [*of_files(policy, platform.kept_files()), *([audit] if found.kept != policy.audit else [])]


def apply(policy: Policy, platform: Platform, *, may_shorten: bool) -> None:
    """Set all as the policy says; may be killed and repeated. Raises Refused, ObjectiveMissed."""
    import psycopg  # noqa: PLC0415

    from cortexctl.retention import database  # noqa: PLC0415

    platform.keep_files({what: days(getattr(policy, what)) for what in FILES})
    try:
        database.write(platform.owner(), policy.audit, may_shorten=may_shorten)
    except psycopg.Error as error:
        raise _not_asked(error) from error


def of_files(policy: Policy, kept: Iterable[KeptFiles]) -> Iterable[Change]:
    """Yield what would have to change of files."""
    now = datetime.now(UTC)
    for one in kept:
        wanted = days(getattr(policy, one.what))
        if one.days == wanted:
            continue
        old = one.oldest is not None and now - one.oldest > timedelta(days=wanted)
        shorter = old if one.days is None else wanted < one.days
        before = None if one.days is None else f"{one.days} days"
        yield Change(one.what, one.place, before, getattr(policy, one.what), shorter)


def _not_asked(error: Exception) -> ObjectiveMissed:
    return ObjectiveMissed(
        "How long the audit log is kept could not be looked at.", why=" ".join(str(error).split()),
        todo="Look at cortexctl status, then run cortexctl up again.",
    )  # fmt: skip
