"""Audit events: who they name, and the way of those that belong to no transaction.

Events of mutations go into the mutation's own transaction. Those of reads, logins and refusals are gathered
for a tenth of a second, written to the node's spool, and from there to the database: a killed node loses at
most what it gathered in the last tenth of a second, and its next start ships what is left.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Iterable

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb

from cortex_runtime.changelog.database import Connection, Database, Unavailable
from cortex_runtime.formats.audit import Event, Segment, clean, pack
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.security.spool import Spool

PERIOD = 0.1
RETRY = 1.0
MAX_WAITING = 20_000
MAX_SEGMENTS_A_CALL = 500
MAX_BYTES_A_CALL = 1 << 20
IMPERSONAL = frozenset({"anonymous", "key", "node"})
log = structlog.get_logger()


def event(
    *,
    action: str,
    actor: str,
    resource: str,
    result: str,
    request_id: str,
    tenant: str | None = None,
    session: str | None = None,
    ip: str = "",
    user_agent: str = "",
    reason: str | None = None,
) -> Event:
    """Return an event of now. Every text is at most 256 printable characters: nothing can forge a line."""
    return Event(
        action=clean(action), actor=clean(actor), ip=clean(ip), reason=reason and clean(reason),
        request_id=clean(request_id), resource=clean(resource), result=clean(result),
        session=session and clean(session), tenant=clean(tenant or ""), time=time.time_ns() // 1_000_000,
        user_agent=clean(user_agent),
    )  # fmt: skip


class Pseudonyms:
    """Names of persons as keyed hashes: the log never changes, and says nothing once the key is gone."""

    def __init__(self, directory: Directory, deployment_key: bytes) -> None:
        self._directory = directory
        self._own = hmac.digest(deployment_key, b"cortexkg audit", "sha256")

    def of(self, actor: str, tenant: str) -> str:
        """Return how an actor is named in a tenant's log."""
        kind, _, name = actor.partition(":")
        if kind in IMPERSONAL:
            return actor
        return f"{kind}:{hmac.digest(self._key(tenant), name.encode(), 'sha256')[:8].hex()}"

    def all_of(self, actor: str, tenant: str) -> frozenset[str]:
        """Return all names that an actor can have in a tenant's log."""
        return frozenset({actor, self.of(actor, tenant), self.of(actor, "")})

    def _key(self, tenant: str) -> bytes:
        try:
            return hmac.digest(self._directory.index_key(tenant), b"cortexkg audit", "sha256")
        except (UnknownKey, KeyringError, CannotOpen):  # of no tenant, or of one that is just being made
            return self._own


async def append(connection: Connection, segments: Iterable[Segment]) -> None:
    """Give segments to the database, by the transaction of the connection."""
    await connection.execute("select audit_append(%s)", [rows(segments)])


def rows(segments: Iterable[Segment]) -> Jsonb:
    """Return segments as the database's functions take them."""
    return Jsonb([segment.row() for segment in segments])


class AuditLog:
    """Gathers events and sees that the database gets them; full, it refuses, and so does the service."""

    def __init__(self, node: str, primary: Database, spool: Spool, known: Callable[[str], bool]) -> None:
        self._node, self._primary, self._spool, self._known = node, primary, spool, known
        self._events: list[Event] = []
        self._broken = False
        self._writer: asyncio.Task[None] | None = None
        self._shipper: asyncio.Task[None] | None = None
        self._writing, self._shipping = asyncio.Lock(), asyncio.Lock()

    @property
    def full(self) -> bool:
        """True when nothing more may be done until events have been written."""
        return self._broken or self._spool.full or len(self._events) >= MAX_WAITING

    def start(self) -> None:
        """Ship what an earlier process of this node left, and tell of what it left half-written."""
        if self._spool.torn:
            self.add(
                event(
                    action="audit.cut", actor=f"node:{self._node}", resource="spool", result="done",
                    reason=f"{self._spool.torn} bytes were not written to the end", request_id="-",
                )
            )  # fmt: skip
        self._ship_later()

    def add(self, entry: Event) -> None:
        """Take an event. One of a tenant that there is not goes to the log of no tenant."""
        if entry.tenant and not self._known(entry.tenant):
            reason = clean(f"{entry.reason or ''} (of no tenant: {entry.tenant})".strip())
            entry = msgspec.structs.replace(entry, tenant="", reason=reason)
        self._events.append(entry)
        self._write_soon()

    async def flush(self) -> None:
        """See that the database has all that was added. Raises Unavailable; nothing is lost then."""
        try:
            await self._write()
            await self._ship()
        except OSError as error:
            raise Unavailable(f"the audit spool: {error}") from error

    def _write_soon(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later())

    async def _write_later(self) -> None:
        pause = PERIOD
        while self._events:
            await asyncio.sleep(pause)
            try:
                await self._write()
                pause = PERIOD
            except OSError as error:
                log.error("audit spool cannot be written", waiting=len(self._events), why=str(error))  # noqa: TRY400
                pause = RETRY

    async def _write(self) -> None:
        async with self._writing:
            if self._events:
                # Whoever waits may go; what was taken is written, or is among the events again.
                await asyncio.shield(asyncio.ensure_future(self._keep()))
        self._ship_later()

    async def _keep(self) -> None:
        events, self._events = self._events, []
        try:
            await asyncio.to_thread(lambda: self._spool.append(pack(self._node, events)))
        except OSError:
            self._events = events + self._events
            self._broken = True
            self._write_soon()  # while it is broken nothing is added that would have it tried again
            raise
        self._broken = False

    def _ship_later(self) -> None:
        if len(self._spool) and (self._shipper is None or self._shipper.done()):
            self._shipper = asyncio.create_task(self._ship_all())

    async def _ship_all(self) -> None:
        while len(self._spool):
            try:
                await self._ship()
            except (Unavailable, psycopg.Error, OSError) as error:
                log.warning("audit waits", segments=len(self._spool), why=str(error))
                await asyncio.sleep(RETRY)

    async def _ship(self) -> None:
        async with self._shipping:
            while segments := self._spool.first(MAX_SEGMENTS_A_CALL, MAX_BYTES_A_CALL):
                async with self._primary.connection(3.0) as connection:
                    await append(connection, segments)
                self._spool.forget(len(segments))
