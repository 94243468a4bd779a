"""What handlers of operators share: a change to the tables that every node copies, and its event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cortex_runtime import failpoints
from cortex_runtime.changelog.database import Connection, about
from cortex_runtime.formats.audit import pack
from cortex_runtime.security import audit
from cortex_runtime.security.directory import WrappedKey
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

CALL_TIMEOUT = 3.0
TIME = '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\''


@asynccontextmanager
async def changing(service: Service, request: Request) -> AsyncIterator[Connection]:
    """Lend a connection to the primary in a transaction that tells the nodes, and has the request's event."""
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        yield connection
        await changed(connection, service, request)


async def changed(connection: Connection, service: Service, request: Request) -> None:
    """Tell all nodes that the directory changed, and write the event, in the same transaction."""
    await connection.execute("update directory set version = version + 1")
    if failpoints.ARMED:
        failpoints.reached(f"{request.action}:uncommitted")
    await audit.append(connection, pack(service.config.name, [service.event(request, "done")]))


async def prove(connection: Connection, service: Service, tenant: str, version: int) -> None:
    """Open a version with this region's keyring, and record that. Raises RequestError (conflict)."""
    cursor = await connection.execute(
        "select version, state, kek_version, wrapped, check_value from data_key"
        " where tenant = %s and version = %s",
        [tenant, version], binary=True,
    )  # fmt: skip
    row = await cursor.fetchone()
    if row is None or not await asyncio.to_thread(service.directory.opens, tenant, WrappedKey(*row)):
        raise RequestError("conflict", f"Region {service.config.region} cannot open version {version}.")
    await connection.execute(
        "insert into key_proof (tenant, version, region) values (%s, %s, %s) on conflict do nothing",
        [tenant, version, service.config.region],
    )
