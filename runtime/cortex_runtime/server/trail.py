"""Search of the audit log, newest first: segments carry the times of their events, so few are opened."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats.audit import Event, unpack
from cortex_runtime.formats.messages import AuditEvent
from cortex_runtime.server.errors import RequestError

PAGE = 256
PATIENCE = 5.0
_PAGE = """
    select id::text, first_event, content, last_time, (extract(epoch from last_time) * 1000)::bigint
    from audit_segment
    where (%(tenant)s::text is null or tenant = %(tenant)s) and content is not null
      and (%(since)s::timestamptz is null or last_time >= %(since)s)
      and (%(until)s::timestamptz is null or first_time <= %(until)s)
      and (%(before)s::timestamptz is null or (last_time, id) < (%(before)s, %(beyond)s::uuid))
    order by last_time desc, id desc limit %(page)s
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None is everything. `actors` gives all names of an actor in a tenant's log."""

    tenant: str | None = None
    actor: str | None = None
    action: str | None = None
    result: str | None = None
    resource: str | None = None
    session: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actors: Callable[[str, str], frozenset[str]] = lambda actor, _: frozenset({actor})

    def matches(self, event: Event) -> bool:
        """Tell whether an event is wanted."""
        if self.actor is not None and event.actor not in self.actors(self.actor, event.tenant):
            return False
        moment = datetime.fromtimestamp(event.time / 1000, UTC)
        return (
            self.action in (None, event.action)
            and self.session in (None, event.session)
            and self.request_id in (None, event.request_id)
            and (self.result is None or _is_or_begins(event.result, self.result, ":"))
            and (self.resource is None or _is_or_begins(event.resource, self.resource, "/"))
            and (self.since is None or moment >= self.since)
            and (self.until is None or moment <= self.until)
        )


async def search(connection: Connection, wanted: Wanted, limit: int) -> list[AuditEvent]:
    """Return the newest events that are wanted, newest first.

    Raises RequestError (too_complex) when that takes too long.
    """
    found: list[tuple[int, str, int, AuditEvent]] = []  # a heap: the oldest first
    deadline = time.monotonic() + PATIENCE
    place: dict[str, Any] = {"before": None, "beyond": None, "page": PAGE}
    filters = {"tenant": wanted.tenant, "since": wanted.since, "until": wanted.until}
    while rows := await (await connection.execute(_PAGE, filters | place, binary=True)).fetchall():
        for segment, first, content, _, last in rows:
            if len(found) == limit and found[0][0] > last:
                return _newest_first(found)
            for entry in _wanted(segment, first, content, wanted):
                heapq.heappush(found, entry)
                if len(found) > limit:
                    heapq.heappop(found)
        if time.monotonic() > deadline:
            raise RequestError("too_complex", "That is too much of the audit log; name a tenant or a time.")
        place |= {"before": rows[-1][3], "beyond": rows[-1][0]}
    return _newest_first(found)


def _wanted(
    segment: str, first: int | None, content: bytes, wanted: Wanted
) -> Iterator[tuple[int, str, int, AuditEvent]]:
    for number, event in enumerate(unpack(content)[1]):
        if wanted.matches(event):
            yield event.time, segment, number, AuditEvent.of(event, segment, number, first)


def _newest_first(found: list[tuple[int, str, int, AuditEvent]]) -> list[AuditEvent]:
    return [entry[3] for entry in sorted(found, key=lambda entry: entry[:3], reverse=True)]


def _is_or_begins(value: str, wanted: str, separator: str) -> bool:
    return value == wanted or value.startswith(wanted + separator)
