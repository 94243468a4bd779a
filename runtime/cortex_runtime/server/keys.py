"""Handlers of operators: the versions of a tenant's data key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import Connection
from cortex_runtime.changelog.reencryption import Row, reseal
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import KeyVersion, LedgerEntry, Rewrapped, Verified, encode
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changed, prove
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.tenants import tenant_of

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

PROOFS_NEEDED = 2
LEDGER_TIMEOUT = 30.0
_WRAPPED = """
    select 'index-key', 0, kek_version, index_key from tenant where name = %s
    union all select 'data-key', version, kek_version, wrapped from data_key
        where tenant = %s and state <> 'DESTROYED'
"""
_REWRAP_DATA_KEY = "update data_key set kek_version = %s, wrapped = %s where tenant = %s and version = %s"
_REWRAP_INDEX_KEY = "update tenant set kek_version = %s, index_key = %s where name = %s and %s = 0"
_SAMPLE = """
    select id, operation, entry from concept where tenant = %s and key_version = %s
    order by random() limit 100
"""
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


async def ledger(service: Service, request: Request) -> bytes:
    """Return what still needs each version of a tenant's data key."""
    tenant = request.names["tenant"]
    async with service.primary.connection(LEDGER_TIMEOUT) as connection:
        await tenant_of(connection, request)
        states = {key.version: key.state for key in await _keys(connection, tenant)}
        uses = await _uses(connection, tenant)
    return encode(
        [
            LedgerEntry(tenant=tenant, version=version, state=states.get(version, "?"), part=part, uses=count)
            for version, part, count in uses
        ]
    )


async def retire_key(service: Service, request: Request) -> bytes:
    """Destroy a version that nothing needs any more; its wrapped key is overwritten, a tombstone stays.

    Raises RequestError (conflict) that names what still needs it.
    """
    tenant, version = request.names["tenant"], int(request.names["version"])
    async with service.primary.connection(LEDGER_TIMEOUT) as connection, connection.transaction():
        await tenant_of(connection, request)
        await _lock_keys(connection, tenant)
        key = await _key(connection, tenant, version)
        if key.state in ("ACTIVE", "PENDING"):
            raise RequestError("conflict", f"Version {version} is {key.state}: rotate first.")
        if key.state != "DESTROYED":
            needed = [f"{n} {part}" for v, part, n in await _uses(connection, tenant) if v == version]
            if silent := await _silent(connection):
                needed.append(f"snapshots that {', '.join(silent)} may have")
            if needed:
                raise RequestError("conflict", f"Version {version} is still needed: {', '.join(needed)}.")
            await connection.execute(
                "update data_key set state = 'DESTROYED', wrapped = '', check_value = '',"
                " destroyed_at = clock_timestamp() where tenant = %s and version = %s",
                [tenant, version],
            )
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def rewrap_keys(service: Service, request: Request) -> bytes:
    """Wrap all of a tenant's keys by the newest version of its key-encryption key; what they seal stays."""
    tenant, count = request.names["tenant"], 0
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await tenant_of(connection, request)
        await _lock_keys(connection, tenant)
        rows = await (await connection.execute(_WRAPPED, [tenant, tenant], binary=True)).fetchall()
        try:
            anew = [service.directory.rewrap(tenant, *row) for row in rows]
        except (KeyringError, CannotOpen) as error:
            raise RequestError("conflict", f"A key of {tenant} cannot be wrapped anew: {error}.") from error
        for (kind, version, before, _), (kek_version, wrapped) in zip(rows, anew, strict=True):
            if kek_version == before:
                continue
            count += 1
            await connection.execute(
                _REWRAP_DATA_KEY if kind == "data-key" else _REWRAP_INDEX_KEY,
                [kek_version, wrapped, tenant, version],
            )
        await changed(connection, service, request)
    newest = anew[0][0] if anew else 0
    return encode(Rewrapped(tenant=tenant, kek_version=newest, rewrapped=count))


async def verify_keys(service: Service, request: Request) -> bytes:
    """Open, with this region's keyring and of its own database, a sample of what each version seals."""
    tenant, found = request.names["tenant"], []
    async with service.local.connection(LEDGER_TIMEOUT) as connection:
        await tenant_of(connection, request)
        await service.directory.refresh(connection)
        entry = service.directory.tenants[tenant]
        for key in entry.data_keys.values():
            rows = await (await connection.execute(_SAMPLE, [tenant, key.version], binary=True)).fetchall()
            sample = [Row(*row) for row in rows]
            _, damaged = await asyncio.to_thread(reseal, service.directory, tenant, sample)
            found.append(
                Verified(
                    region=service.config.region, version=key.version, state=key.state,
                    check_value=key.usable and service.directory.opens(tenant, key),
                    tried=len(sample), opened=len(sample) - len(damaged),
                )
            )  # fmt: skip
    return encode(found)


async def _uses(connection: Connection, tenant: str) -> list[tuple[int, str, int]]:
    cursor = await connection.execute(
        "select version, part, uses::bigint from key_ledger(%s) order by version, part", [tenant]
    )
    return await cursor.fetchall()


async def _silent(connection: Connection) -> list[str]:
    """Return the nodes that live and have not said for a while which versions their snapshots need."""
    cursor = await connection.execute(
        "select name from node left join key_use_told told on told.node = node.name"
        " where heartbeat > clock_timestamp() - interval '15 s'"
        " and (told.at is null or told.at < clock_timestamp() - interval '90 s') order by name"
    )
    return [row[0] for row in await cursor.fetchall()]


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
