"""The sequencer of a node: gives audit segments their places in the trees of the tenants that it owns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import structlog

from cortex_runtime.changelog.database import EVERY, Unavailable, about
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.security import tree

if TYPE_CHECKING:
    from cortex_runtime.formats.checkpoint import Signer
    from cortex_runtime.server.service import Service

PERIOD = 1.0
TIMEOUT = 10.0
log = structlog.get_logger()


class Sequencer:
    """Sequences about once a second. A tenant is its sequencer's who owns the slot of its default cortex."""

    def __init__(self, service: Service, signer: Signer) -> None:
        self._service, self._signer = service, signer

    async def run(self) -> None:
        """Sequence until it is cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.sequence()
            except (Unavailable, psycopg.Error) as error:
                log.warning("audit not sequenced", why=str(error))
            except Exception:  # whatever it is, the next round must come
                log.exception("audit not sequenced")

    async def sequence(self) -> None:
        """Give all waiting segments of this node's tenants places. Raises Unavailable or psycopg.Error."""
        service = self._service
        if not service.replica.owners:
            return
        async with about(service.primary, TIMEOUT, EVERY) as connection:
            waiting = await tree.waiting_tenants(connection)
        for tenant in waiting:
            if slot_of(tenant, tree.CORTEX) in service.replica.owners:
                while await self._sequence(tenant) == tree.MAX_SEGMENTS:
                    pass

    async def _sequence(self, tenant: str) -> int:
        service = self._service
        async with about(service.primary, TIMEOUT, tenant or NO_TENANT) as connection:
            return await tree.sequence(connection, service.config.deployment, tenant, self._signer)
