"""Copies the erasure list into the object store of the node's region: an older backup knows nothing of it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
import structlog

from cortex_runtime.changelog import erasures
from cortex_runtime.changelog.database import EVERY, Unavailable, about
from cortex_runtime.changelog.erasures import Departure, Erasure
from cortex_runtime.changelog.placement import holders, slot_of
from cortex_runtime.objectstore import ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from cortex_runtime.server.service import Service

PERIOD = 10.0
TIMEOUT = 30.0
# What is committed later than others may be older than they are, by less than a call may take.
_NEW = """
    select tenant, cortex, operation, array_agg(id) from tombstone
    where at > coalesce(%(since)s::timestamptz, '-infinity') - interval '1 hour'
    group by tenant, cortex, operation
"""
_LEFT = "select name from tenant where state in ('leaving', 'gone')"
log = structlog.get_logger()


class ErasureList:
    """Copies what is new. In each region it is done by the first holder of the cortex."""

    def __init__(self, service: Service, store: ObjectStore) -> None:
        self._service, self._store = service, store
        self._since: datetime | None = None
        self._known: set[str] | None = None  # of those of the last hour, at first of all

    async def run(self) -> None:
        """Copy until it is cancelled."""
        while True:
            try:
                await self.copy()
            except (Unavailable, psycopg.Error, ObjectStoreError) as error:
                log.warning("erasures not copied", why=str(error))
            except Exception:  # whatever it is, the next round must come
                log.exception("erasures not copied")
            await asyncio.sleep(PERIOD)

    async def copy(self) -> None:
        """Copy what is not in the store yet. Raises Unavailable, psycopg.Error or ObjectStoreError."""
        if self._known is None:
            self._known = await asyncio.to_thread(erasures.names, self._store)
        async with about(self._service.primary, TIMEOUT, EVERY) as connection:
            (now,) = await (await connection.execute("select clock_timestamp()")).fetchall()
            rows = await (await connection.execute(_NEW, {"since": self._since}, binary=True)).fetchall()
            left = await (await connection.execute(_LEFT)).fetchall()
        entries: list[Erasure | Departure] = [Erasure(*row) for row in rows]
        entries += [Departure(*row) for row in left]
        mine = {each.name: each for each in entries if self._is_mine(each.tenant, each.cortex)}
        for name in mine.keys() - self._known:
            await asyncio.to_thread(erasures.keep, self._store, mine[name])
        self._known, self._since = set(mine), now[0]

    def _is_mine(self, tenant: str, cortex: str) -> bool:
        config, view = self._service.config, self._service.replica.view
        nodes = tuple(sorted({*view.members_of(config.region), config.name}))
        return holders(slot_of(tenant, cortex), nodes)[0] == config.name
