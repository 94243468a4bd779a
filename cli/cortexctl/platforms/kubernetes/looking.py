"""What happened in a namespace, and who holds which lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cortexctl.platforms.kubernetes.api import Cluster, ask

BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened `count` times, last at `time`, to `about` (kind/name)."""

    time: datetime
    type: str
    about: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leads what; `renewed` is None of one that nobody holds, `changes` how often it went to another."""

    name: str
    holder: str
    renewed: datetime | None
    seconds: int | None
    changes: int


def events(cluster: Cluster, *, about: str | None = None) -> tuple[Event, ...]:
    """Return the events of the namespace, or of what is named so, oldest first. Raises Refused."""
    selector = {"field_selector": f"involvedObject.name={about}"} if about else {}
    found = ask(cluster.core.list_namespaced_event, cluster.namespace, **selector).items
    return tuple(sorted((_event(each) for each in found), key=lambda event: event.time))


def leases(cluster: Cluster) -> tuple[Lease, ...]:
    """Return the leases of the namespace, by name. Raises Refused."""
    found = ask(cluster.coordination.list_namespaced_lease, cluster.namespace).items
    made = (
        Lease(
            each.metadata.name, each.spec.holder_identity or "", each.spec.renew_time,
            each.spec.lease_duration_seconds, each.spec.lease_transitions or 0,
        )
        for each in found
    )  # fmt: skip
    return tuple(sorted(made, key=lambda lease: lease.name))


def _event(each: Any) -> Event:
    """Of a series only the newer API has a time; of a plain event only the older."""
    series = each.series
    when = (
        (series and series.last_observed_time)
        or each.last_timestamp
        or each.event_time
        or each.first_timestamp
    )
    target = each.involved_object
    return Event(
        when or BEGINNING, each.type or "", f"{target.kind}/{target.name}", each.reason or "",
        " ".join((each.message or "").split()), (series and series.count) or each.count or 1,
    )  # fmt: skip
