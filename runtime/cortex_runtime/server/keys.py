"""Handlers of operators: the versions of a tenant's data key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import Connection, about
from cortex_runtime.changelog.reencryption import count_opening, fetch_sample
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import (
    KeyVersion,
    LedgerEntry,
    Rewrapped,
    RewrapRequest,
    Verified,
    Wrapping,
    encode,
)
from cortex_runtime.security.directory import WrappedKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changed, prove
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.retiring import destroy, lock_keys, needed_for, uses
from cortex_runtime.server.tenants import tenant_of

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

PROOFS_NEEDED = 2
LEDGER_TIMEOUT = 30.0
_PATIENT = (
    "set local idle_in_transaction_session_timeout = '3s'"  # KMS takes longer than an idle owner is granted
)
_WRAPPED = """
    select 'index-key', 0, kek_version, index_key from tenant where name = %s
    union all select 'data-key', version, kek_version, wrapped from data_key
        where tenant = %s and state <> 'DESTROYED'
"""
_BACKUPS = """
    select distinct kek_version from backup_key join backup on backup.name = backup_key.backup
    where tenant = %s and until > clock_timestamp()
"""
_REWRAP_DATA_KEY = "update data_key set kek_version = %s, wrapped = %s where tenant = %s and version = %s"
_REWRAP_INDEX_KEY = "update tenant set kek_version = %s, index_key = %s where name = %s and %s = 0"
_DATA_KEYS = """
    select version, state, kek_version, wrapped, check_value from data_key where tenant = %s order by version
"""
_KEYS = f"""
    select version, state, kek_version, to_char(created_at at time zone 'UTC', {TIME}),
           to_char(activated_at at time zone 'UTC', {TIME}),
           array(select region from key_proof p
                 where p.tenant = k.tenant and p.version = k.version order by region),
           (select coalesce(sum(rows) filter (where part = 'concept'), 0)::bigint from key_rows r
            where r.tenant = k.tenant and r.version = k.version),
           (select coalesce(sum(rows), 0)::bigint from key_rows r
            where r.tenant = k.tenant and r.version = k.version),
           coalesce((select seals from key_seals s where s.tenant = k.tenant and s.version = k.version), 0)
    from data_key k where tenant = %s and (%s::int is null or version = %s) order by version
"""  # noqa: S608  # nosec B608


async def list_keys(service: Service, request: Request) -> bytes:
    """Return the versions of a tenant's data key."""
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        return encode(await _keys(connection, request.names["tenant"]))


async def make_key(service: Service, request: Request) -> bytes:
    """Make the next version as PENDING, or return the one that is pending: so a rotation is resumed."""
    tenant = request.names["tenant"]
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        await lock_keys(connection, tenant)
        await connection.execute(_PATIENT)
        versions = await _keys(connection, tenant)
        pending = [key for key in versions if key.state == "PENDING"]
        version = pending[0].version if pending else versions[-1].version + 1
        if not pending:
            made = await asyncio.to_thread(service.directory.make_data_key, tenant, version)
            await connection.execute(
                "insert into data_key (tenant, version, state, kek_version, wrapped, check_value)"
                " values (%s, %s, 'PENDING', %s, %s, %s)",
                [tenant, version, *made],
            )
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def prove_key(service: Service, request: Request) -> bytes:
    """Open the version's check value with this region's keyring, and record that it opened."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        await _key(connection, tenant, version)
        await prove(connection, service, tenant, version)
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def activate_key(service: Service, request: Request) -> bytes:
    """Make a proven version the one that seals; the one before opens only."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    needed = min(PROOFS_NEEDED, len(service.config.database.hosts))
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        await lock_keys(connection, tenant)
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
    async with about(service.primary, LEDGER_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        states = {key.version: key.state for key in await _keys(connection, tenant)}
        needed = await uses(connection, tenant)
    return encode(
        [
            LedgerEntry(tenant=tenant, version=version, state=states.get(version, "?"), part=part, uses=count)
            for version, part, count in needed
        ]
    )


async def retire_key(service: Service, request: Request) -> bytes:
    """Destroy a version that nothing needs any more; its wrapped key is overwritten, a tombstone stays.

    Raises RequestError (conflict) that names what still needs it.
    """
    tenant, version = request.names["tenant"], int(request.names["version"])
    async with about(service.primary, LEDGER_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        await lock_keys(connection, tenant)
        key = await _key(connection, tenant, version)
        if key.state in ("ACTIVE", "PENDING"):
            raise RequestError("conflict", f"Version {version} is {key.state}: rotate first.")
        if key.state != "DESTROYED":
            if needed := await needed_for(connection, tenant, version):
                raise RequestError("conflict", f"Version {version} is still needed: {', '.join(needed)}.")
            await destroy(connection, tenant, version)
        await changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def rewrap_keys(service: Service, request: Request) -> bytes:
    """Wrap all of a tenant's keys by the newest version of its key-encryption key; what they seal stays.

    Raises RequestError (conflict) when this node's keyring has another newest version than the request.
    """
    tenant, wanted = request.names["tenant"], request.decode(RewrapRequest).kek_version
    async with about(service.primary, CALL_TIMEOUT, tenant) as connection:
        await tenant_of(connection, request)
        await lock_keys(connection, tenant)
        await connection.execute(_PATIENT)
        rows = await (await connection.execute(_WRAPPED, [tenant, tenant], binary=True)).fetchall()
        try:
            anew = [await asyncio.to_thread(service.directory.rewrap, tenant, *row) for row in rows]
        except (KeyringError, CannotOpen) as error:
            raise RequestError("conflict", f"A key of {tenant} cannot be wrapped anew: {error}.") from error
        if others := {newest for newest, _ in anew} - {wanted}:
            raise RequestError("conflict", f"Version {max(others)} is the newest here, not {wanted}.")
        changing = [(row, wrapped) for row, (_, wrapped) in zip(rows, anew, strict=True) if row[2] != wanted]
        for (kind, version, _, _), wrapped in changing:
            await connection.execute(
                _REWRAP_DATA_KEY if kind == "data-key" else _REWRAP_INDEX_KEY,
                [wanted, wrapped, tenant, version],
            )
        await changed(connection, service, request)
    return encode(Rewrapped(tenant=tenant, kek_version=wanted, rewrapped=len(changing)))


async def wrapping(service: Service, request: Request) -> bytes:
    """Return by which versions of its key-encryption key a tenant's keys are wrapped in this region."""
    tenant = request.names["tenant"]
    async with about(service.local, CALL_TIMEOUT, tenant) as connection:
        await tenant_of(connection, request)
        rows = await (await connection.execute(_WRAPPED, [tenant, tenant], binary=True)).fetchall()
        kept = await (await connection.execute(_BACKUPS, [tenant])).fetchall()
    return encode(
        Wrapping(
            tenant=tenant, region=service.config.region, kek_versions=sorted({row[2] for row in rows}),
            backups=sorted(row[0] for row in kept),
        )
    )  # fmt: skip


async def verify_keys(service: Service, request: Request) -> bytes:
    """Open, with this region's keys and of its own database, a sample of what each version seals."""
    tenant, found = request.names["tenant"], []
    async with about(service.local, LEDGER_TIMEOUT, tenant) as connection:
        await tenant_of(connection, request)
        rows = await (await connection.execute(_DATA_KEYS, [tenant], binary=True)).fetchall()
        keys = [WrappedKey(*row) for row in rows]
        samples = [await fetch_sample(connection, tenant, key.version) for key in keys]
    for key, sample in zip(keys, samples, strict=True):
        opens = key.state != "DESTROYED" and await asyncio.to_thread(service.directory.opens, tenant, key)
        found.append(
            Verified(
                region=service.config.region, version=key.version, state=key.state, check_value=opens,
                tried=len(sample),
                opened=await asyncio.to_thread(count_opening, service.directory, tenant, sample),
            )
        )  # fmt: skip
    return encode(found)


async def _keys(connection: Connection, tenant: str, version: int | None = None) -> list[KeyVersion]:
    rows = await (await connection.execute(_KEYS, [tenant, version, version])).fetchall()
    return [KeyVersion(**dict(zip(KeyVersion.__struct_fields__, row, strict=True))) for row in rows]


async def _key(connection: Connection, tenant: str, version: int) -> KeyVersion:
    found = await _keys(connection, tenant, version)
    if not found:
        raise RequestError("not_found", f"There is no version {version}.")
    return found[0]
