"""Handlers of operators: the versions of a tenant's data key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats.messages import KeyVersion, encode
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changed, prove
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.tenants import tenant_of

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

PROOFS_NEEDED = 2
_KEYS = f"""
    select version, state, kek_version, to_char(created_at at time zone 'UTC', {TIME}),
           to_char(activated_at at time zone 'UTC', {TIME}),
           array(select region from key_proof p
                 where p.tenant = k.tenant and p.version = k.version order by region),
           (select count(*) from concept c where c.tenant = k.tenant and c.key_version = k.version)
    from data_key k where tenant = %s and (%s::int is null or version = %s) order by version
"""  # noqa: S608


async def list_keys(service: Service, request: Request) -> bytes:
    """Return the versions of a tenant's data key."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        await tenant_of(connection, request)
        return encode(await _keys(connection, request.names["tenant"]))


async def make_key(service: Service, request: Request) -> bytes:
    """Make the next version as PENDING, or return the one that is pending: so a rotation is resumed."""
    tenant = request.names["tenant"]
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await tenant_of(connection, request)
        await _lock_keys(connection, tenant)
        versions = await _keys(connection, tenant)
        pending = [key for key in versions if key.state == "PENDING"]
        version = pending[0].version if pending else versions[-1].version + 1
        if not pending:
            kek_version, wrapped, check_value = service.directory.make_data_key(tenant, version)
            await connection.execute(
                "insert into data_key (tenant, version, state, kek_version, wrapped, check_value)"
                " values (%s, %s, 'PENDING', %s, %s, %s)",
                [tenant, version, kek_version, wrapped, check_value],
            )
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def prove_key(service: Service, request: Request) -> bytes:
    """Open the version's check value with this region's keyring, and record that it opened."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        await tenant_of(connection, request)
        await _key(connection, tenant, version)
        async with connection.transaction():
            await prove(connection, service, tenant, version)
            await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def activate_key(service: Service, request: Request) -> bytes:
    """Make a proven version the one that seals; the one before opens only."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    needed = min(PROOFS_NEEDED, len(service.config.database.hosts))
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await tenant_of(connection, request)
        await _lock_keys(connection, tenant)
        key = await _key(connection, tenant, version)
        if key.state == "PENDING":
            if len(key.proven) < needed:
                raise RequestError(
                    "conflict",
                    f"Version {version} is proven in {len(key.proven)} regions; {needed} are needed.",
                )
            await connection.execute(
                "update data_key set state = 'DECRYPT_ONLY', superseded_at = clock_timestamp()"
                " where tenant = %s and state = 'ACTIVE'",
                [tenant],
            )
            await connection.execute(
                "update data_key set state = 'ACTIVE', activated_at = clock_timestamp()"
                " where tenant = %s and version = %s",
                [tenant, version],
            )
        elif key.state != "ACTIVE":
            raise RequestError("conflict", f"Version {version} is {key.state}.")
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def _lock_keys(connection: Connection, tenant: str) -> None:
    await connection.execute("select pg_advisory_xact_lock(hashtext('keys'), hashtext(%s))", [tenant])


async def _keys(connection: Connection, tenant: str, version: int | None = None) -> list[KeyVersion]:
    rows = await (await connection.execute(_KEYS, [tenant, version, version])).fetchall()
    return [KeyVersion(**dict(zip(KeyVersion.__struct_fields__, row, strict=True))) for row in rows]


async def _key(connection: Connection, tenant: str, version: int) -> KeyVersion:
    found = await _keys(connection, tenant, version)
    if not found:
        raise RequestError("not_found", f"There is no version {version}.")
    return found[0]
