"""The anchoring of a node: copies the heads of the audit logs into its region's object store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import structlog

from cortex_runtime.changelog.database import EVERY, Unavailable, about
from cortex_runtime.changelog.placement import holders, slot_of
from cortex_runtime.objectstore import ObjectStore, ObjectStoreError
from cortex_runtime.security import anchors, tree

if TYPE_CHECKING:
    from cortex_runtime.server.service import Service

PERIOD = 60.0
TIMEOUT = 10.0
_HEADS = "select tenant, audit_tree.size, note from audit_tree join audit_checkpoint using (tenant, size)"
log = structlog.get_logger()


class Anchoring:
    """Anchors once a minute. In each region it is done by the first holder of the tenant's default cortex."""

    def __init__(self, service: Service, store: ObjectStore) -> None:
        self._service, self._store = service, store
        self._anchored: dict[str, int] = {}

    async def run(self) -> None:
        """Anchor until it is cancelled."""
        while True:
            try:
                await self.anchor()
            except (Unavailable, psycopg.Error, ObjectStoreError) as error:
                log.warning("audit not anchored", why=str(error))
            except Exception:  # whatever it is, the next round must come
                log.exception("audit not anchored")
            await asyncio.sleep(PERIOD)

    async def anchor(self) -> None:
        """Copy the heads that are new. Raises Unavailable, psycopg.Error or ObjectStoreError."""
        config, view = self._service.config, self._service.replica.view
        nodes = tuple(sorted({*view.members_of(config.region), config.name}))
        async with about(self._service.primary, TIMEOUT, EVERY) as connection:
            heads = await (await connection.execute(_HEADS)).fetchall()
        for tenant, size, note in heads:
            if holders(slot_of(tenant, tree.CORTEX), nodes)[0] != config.name:
                continue
            if self._anchored.get(tenant) == size:
                continue
            try:
                await asyncio.to_thread(anchors.keep, self._store, tenant, size, note)
            except anchors.RewrittenError as error:
                log.error("audit log was rewritten", tenant=tenant, why=str(error))  # noqa: TRY400
            self._anchored[tenant] = size
