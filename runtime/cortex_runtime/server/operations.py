"""Handlers of operators: tenants, keys, audit, health, metrics."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import (
    ApiKeyResponse,
    AuditEvent,
    KeyVersion,
    OnboardRequest,
    OnboardResponse,
    Tenant,
    encode,
)
from cortex_runtime.security.directory import WrappedKey, api_key_hash
from cortex_runtime.server import health as reports
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

CALL_TIMEOUT = 3.0
PROOFS_NEEDED = 2
MAX_EVENTS = 1000
_TIME = '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\''
_TENANTS = f"""
    select name, tier, state, to_char(created_at at time zone 'UTC', {_TIME}),
           (select version from data_key where tenant = name and state = 'ACTIVE'),
           (select count(*) from concept where concept.tenant = name)
    from tenant where %s::text is null or name = %s order by name
"""  # noqa: S608 - the only thing put in is the constant above
_KEYS = f"""
    select version, state, kek_version, to_char(created_at at time zone 'UTC', {_TIME}),
           to_char(activated_at at time zone 'UTC', {_TIME}),
           array(select region from key_proof p
                 where p.tenant = k.tenant and p.version = k.version order by region),
           (select count(*) from concept c where c.tenant = k.tenant and c.key_version = k.version)
    from data_key k where tenant = %s and (%s::int is null or version = %s) order by version
"""  # noqa: S608
_AUDIT = f"""
    select id::text, sequence, to_char(at at time zone 'UTC', {_TIME}), tenant, actor, session, address,
           agent, action, resource, result, reason, request_id
    from audit
    where (%(tenant)s::text is null or tenant = %(tenant)s)
      and (%(actor)s::text is null or actor = %(actor)s)
      and (%(action)s::text is null or action = %(action)s)
      and (%(result)s::text is null or result = %(result)s or starts_with(result, %(result)s || ':'))
      and (%(since)s::timestamptz is null or at >= %(since)s::timestamptz)
    order by sequence desc limit %(limit)s
"""  # noqa: S608


async def onboard(service: Service, request: Request) -> bytes:
    """Make a tenant with its first data key and API key, or return the one that exists."""
    wanted = request.decode(OnboardRequest)
    request.names["tenant"] = wanted.tenant  # for the audit log
    try:
        kek_version, index_key = service.directory.make_index_key(wanted.tenant)
        _, wrapped, check_value = service.directory.make_data_key(wanted.tenant, 1)
    except KeyringError as error:
        raise RequestError(
            "conflict", f"The keyring of region {service.config.region} has no key of {wanted.tenant}."
        ) from error
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        cursor = await connection.execute(
            "insert into tenant (name, tier, keyring_generation, kek_version, index_key)"
            " values (%s, %s, %s, %s, %s) on conflict do nothing",
            [wanted.tenant, wanted.tier, wanted.keyring_generation, kek_version, index_key],
        )
        created = cursor.rowcount == 1
        if created:
            await connection.execute(
                "insert into data_key"
                " (tenant, version, state, kek_version, wrapped, check_value, activated_at)"
                " values (%s, 1, 'ACTIVE', %s, %s, %s, clock_timestamp())",
                [wanted.tenant, kek_version, wrapped, check_value],
            )
            await _prove(connection, service, wanted.tenant, 1)
        api_key = await _make_api_key(connection, service, request, wanted.tenant, new=created)
        await _changed(connection, service, request)
        tenant = (await _tenants(connection, wanted.tenant))[0]
    return encode(OnboardResponse(tenant=tenant, created=api_key is not None, api_key=api_key))


async def list_tenants(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return all tenants."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        return encode(await _tenants(connection, None))


async def show_tenant(service: Service, request: Request) -> bytes:
    """Return one tenant."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        return encode(await _tenant(connection, request))


async def make_api_key(service: Service, request: Request) -> bytes:
    """Make a further API key."""
    tenant = request.names["tenant"]
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await _tenant(connection, request)
        api_key = await _make_api_key(connection, service, request, tenant, new=True)
        await _changed(connection, service, request)
    assert api_key is not None
    return encode(ApiKeyResponse(tenant=tenant, api_key=api_key))


async def list_keys(service: Service, request: Request) -> bytes:
    """Return the versions of a tenant's data key."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        await _tenant(connection, request)
        return encode(await _keys(connection, request.names["tenant"]))


async def make_key(service: Service, request: Request) -> bytes:
    """Make the next version as PENDING, or return the one that is pending: so a rotation is resumed."""
    tenant = request.names["tenant"]
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await _tenant(connection, request)
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
        await _changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def prove_key(service: Service, request: Request) -> bytes:
    """Open the version's check value with this region's keyring, and record that it opened."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        await _tenant(connection, request)
        await _key(connection, tenant, version)
        async with connection.transaction():
            await _prove(connection, service, tenant, version)
            await _changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def activate_key(service: Service, request: Request) -> bytes:
    """Make a proven version the one that seals; the one before opens only."""
    tenant, version = request.names["tenant"], int(request.names["version"])
    needed = min(PROOFS_NEEDED, len(service.config.database.hosts))
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await _tenant(connection, request)
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
        await _changed(connection, service, request)
        return encode(await _key(connection, tenant, version))


async def audit_trail(service: Service, request: Request) -> bytes:
    """Return audit events, the newest first."""
    limit = request.query.get("limit", "100")
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_EVENTS:
        raise RequestError("invalid", f"limit is a number from 1 to {MAX_EVENTS}.")
    filters: dict[str, Any] = {
        key: request.query.get(key) for key in ("tenant", "actor", "action", "result", "since")
    }
    await service.audit.flush()
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        rows = await (await connection.execute(_AUDIT, {**filters, "limit": int(limit)})).fetchall()
    return encode([AuditEvent(**dict(zip(AuditEvent.__struct_fields__, row, strict=True))) for row in rows])


async def health(service: Service, request: Request) -> bytes:
    """Return this node's report, with the hashes of its arrays when they are asked for."""
    return encode(reports.report(service, hashes=request.query.get("hashes") == "true"))


async def metrics(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return this node's metrics."""
    return service.metrics.render()


async def _changed(connection: Connection, service: Service, request: Request) -> None:
    """Tell all nodes that the directory changed, and write the event, in the same transaction."""
    await connection.execute("update directory set version = version + 1")
    await connection.execute("select audit_append(%s)", [Jsonb([service.event(request, "done")])])


async def _prove(connection: Connection, service: Service, tenant: str, version: int) -> None:
    cursor = await connection.execute(
        "select version, state, kek_version, wrapped, check_value from data_key"
        " where tenant = %s and version = %s",
        [tenant, version], binary=True,
    )  # fmt: skip
    row = await cursor.fetchone()
    if row is None or not service.directory.opens(tenant, WrappedKey(*row)):
        raise RequestError("conflict", f"Region {service.config.region} cannot open version {version}.")
    await connection.execute(
        "insert into key_proof (tenant, version, region) values (%s, %s, %s) on conflict do nothing",
        [tenant, version, service.config.region],
    )


async def _make_api_key(
    connection: Connection, service: Service, request: Request, tenant: str, *, new: bool
) -> str | None:
    """Make the API key that belongs to the request; repeated, the request gets the same one again.

    Unless `new`, only one that was made by an earlier attempt is returned.
    """
    purpose = framed("api-key", tenant, request.idempotency_key or secrets.token_hex(16))
    raw = hmac.digest(service.signing_key, purpose, "sha512")
    name, secret = raw[:4].hex(), base64.urlsafe_b64encode(raw[32:]).rstrip(b"=").decode()
    api_key = f"ck_{name}_{secret}"
    if new:
        await connection.execute(
            "insert into api_key (tenant, id, hash) values (%s, %s, %s) on conflict do nothing",
            [tenant, name, api_key_hash(api_key)],
        )
    cursor = await connection.execute(
        "select from api_key where tenant = %s and id = %s and hash = %s",
        [tenant, name, api_key_hash(api_key)],
    )
    return api_key if await cursor.fetchone() is not None else None


async def _lock_keys(connection: Connection, tenant: str) -> None:
    await connection.execute("select pg_advisory_xact_lock(hashtext('keys'), hashtext(%s))", [tenant])


async def _tenants(connection: Connection, name: str | None) -> list[Tenant]:
    rows = await (await connection.execute(_TENANTS, [name, name])).fetchall()
    return [Tenant(**dict(zip(Tenant.__struct_fields__, row, strict=True))) for row in rows]


async def _tenant(connection: Connection, request: Request) -> Tenant:
    found = await _tenants(connection, request.names["tenant"])
    if not found:
        raise RequestError("not_found", "There is no such tenant.")
    return found[0]


async def _keys(connection: Connection, tenant: str, version: int | None = None) -> list[KeyVersion]:
    rows = await (await connection.execute(_KEYS, [tenant, version, version])).fetchall()
    return [KeyVersion(**dict(zip(KeyVersion.__struct_fields__, row, strict=True))) for row in rows]


async def _key(connection: Connection, tenant: str, version: int) -> KeyVersion:
    found = await _keys(connection, tenant, version)
    if not found:
        raise RequestError("not_found", f"There is no version {version}.")
    return found[0]
