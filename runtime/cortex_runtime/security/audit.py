"""Audit events that belong to no transaction: reads, logins and refusals, appended in batches.

Events of mutations go into the mutation's own transaction instead. A killed node loses at most what it
gathered in the last tenth of a second.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import psycopg
import structlog
from psycopg.types.json import Jsonb

from cortex_runtime.changelog.database import Database, Unavailable

PERIOD = 0.1
MAX_WAITING = 20_000
MAX_EVENTS_A_CALL = 2_000
MAX_FIELD = 256
Event = dict[str, str | None]
log = structlog.get_logger()


def event(**fields: str | None) -> Event:
    """Return an event of now. Fields are cut to 256 printable characters: nothing can forge a line."""
    made = {"id": str(uuid.uuid4()), "at": datetime.now(UTC).isoformat()}
    return {**made, **{name: _clean(value) for name, value in fields.items()}}


class AuditBuffer:
    """Gathers events and appends them; full, it refuses, and so does the service."""

    def __init__(self, primary: Database) -> None:
        self._primary = primary
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()

    @property
    def full(self) -> bool:
        """True when nothing more may be done until events have been written."""
        return len(self._waiting) >= MAX_WAITING

    def add(self, entry: Event) -> None:
        """Take an event."""
        self._waiting.append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_later())

    async def flush(self) -> None:
        """Append what waits. Raises Unavailable; nothing is lost then."""
        async with self._flushing:
            while self._waiting:
                batch = self._waiting[:MAX_EVENTS_A_CALL]
                async with self._primary.connection(3.0) as connection:
                    await connection.execute("select audit_append(%s)", [Jsonb(batch)])
                del self._waiting[: len(batch)]

    async def _flush_later(self) -> None:
        pause = PERIOD
        while self._waiting:
            await asyncio.sleep(pause)
            try:
                await self.flush()
            except (Unavailable, psycopg.Error) as error:
                log.warning("audit waits", waiting=len(self._waiting), why=str(error))
                pause = 1.0


def _clean(value: str | None) -> str | None:
    if value is None:
        return None
    return "".join(c if c.isprintable() else "\ufffd" for c in value[:MAX_FIELD])
