"""Handlers of operators: a tenant leaves, step by step; each may be repeated.

It is shut out for good (`leaving`), its key-encryption keys are destroyed by the control plane, what it has
is removed here (`gone`), and every node says what it still has of it and whether any of that opens.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from psycopg import errors

from cortex_runtime.changelog.database import about
from cortex_runtime.formats.messages import LegalHoldRequest, PurgeProgress, Residue, Tenant, encode
from cortex_runtime.server.changing import CALL_TIMEOUT, changing
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.tenants import tenant_of

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

PURGED_AT_ONCE = 5_000
DOES_NOT_LEAVE = "CX005"


async def set_legal_hold(service: Service, request: Request) -> bytes:
    """Hold a tenant's data against their destruction, or hold them no more."""
    wanted = request.decode(LegalHoldRequest)
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        await connection.execute(
            "update tenant set legal_hold = %s where name = %s", [wanted.held, request.names["tenant"]]
        )
        return encode(await tenant_of(connection, request))


async def leave(service: Service, request: Request) -> bytes:
    """Shut a tenant out for good, unless its data must be kept."""
    async with changing(service, request) as connection:
        found: Tenant = await tenant_of(connection, request)
        if found.legal_hold:
            raise RequestError("conflict", "The tenant is under legal hold: its data must not be destroyed.")
        await connection.execute(
            "update tenant set state = 'leaving', epoch = epoch + 1"
            " where name = %s and state in ('active', 'suspended')",
            [request.names["tenant"]],
        )
        return encode(await tenant_of(connection, request))


async def purge(service: Service, request: Request) -> bytes:
    """Remove some of what a leaving tenant has; to be repeated until nothing was removed."""
    try:
        async with changing(service, request) as connection:
            await tenant_of(connection, request)
            cursor = await connection.execute(
                "select purge_tenant(%s, %s)", [request.names["tenant"], PURGED_AT_ONCE]
            )
            row = await cursor.fetchone()
    except errors.RaiseException as error:
        if error.sqlstate != DOES_NOT_LEAVE:
            raise
        raise RequestError("conflict", "The tenant does not leave.") from error
    return encode(PurgeProgress(removed=row[0] if row else 0))


async def residue(service: Service, request: Request) -> bytes:
    """Return what this node, its region's database and its object store have of a tenant."""
    tenant, replica = request.names["tenant"], service.replica
    async with about(service.local, CALL_TIMEOUT, tenant) as connection:
        state = (await tenant_of(connection, request)).state
        rows = await (await connection.execute("select part, rows from residue_of(%s)", [tenant])).fetchall()
    async with service.local.connection(CALL_TIMEOUT) as connection:
        await service.directory.refresh(connection)
    opens = await asyncio.to_thread(service.directory.opened_versions, tenant)
    parts = {f"database {part}": count for part, count in rows}
    slots = list(replica.slots.values())
    parts["cortices in memory"] = sum(key[0] == tenant for slot in slots for key in slot.cortices)
    parts["concepts in the cache"] = sum(key[0] == tenant for slot in slots for key in slot.contents)
    here, stored = await asyncio.to_thread(service.snapshots.count, tenant)
    parts["snapshots on the node"], parts["snapshots in the object store"] = here, stored
    return encode(
        Residue(
            node=service.config.name, region=service.config.region, state=state, parts=parts,
            opens=opens,
        )
    )  # fmt: skip
