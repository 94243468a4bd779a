"""Handlers of operators: tenants and their API keys."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import ApiKeyResponse, OnboardRequest, OnboardResponse, Tenant, encode
from cortex_runtime.security.directory import api_key_hash
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changed, prove
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

_TENANTS = f"""
    select name, tier, state, to_char(created_at at time zone 'UTC', {TIME}),
           (select version from data_key where tenant = name and state = 'ACTIVE'),
           (select count(*) from concept where concept.tenant = name)
    from tenant where %s::text is null or name = %s order by name
"""  # noqa: S608 - the only thing put in is the constant above


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
            await prove(connection, service, wanted.tenant, 1)
        api_key = await _make_api_key(connection, service, request, wanted.tenant, new=created)
        await changed(connection, service, request)
        tenant = (await _tenants(connection, wanted.tenant))[0]
    return encode(OnboardResponse(tenant=tenant, created=api_key is not None, api_key=api_key))


async def list_tenants(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return all tenants."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        return encode(await _tenants(connection, None))


async def show_tenant(service: Service, request: Request) -> bytes:
    """Return one tenant."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        return encode(await tenant_of(connection, request))


async def make_api_key(service: Service, request: Request) -> bytes:
    """Make a further API key."""
    tenant = request.names["tenant"]
    async with service.primary.connection(CALL_TIMEOUT) as connection, connection.transaction():
        await tenant_of(connection, request)
        api_key = await _make_api_key(connection, service, request, tenant, new=True)
        await changed(connection, service, request)
    assert api_key is not None
    return encode(ApiKeyResponse(tenant=tenant, api_key=api_key))


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


async def _tenants(connection: Connection, name: str | None) -> list[Tenant]:
    rows = await (await connection.execute(_TENANTS, [name, name])).fetchall()
    return [Tenant(**dict(zip(Tenant.__struct_fields__, row, strict=True))) for row in rows]


async def tenant_of(connection: Connection, request: Request) -> Tenant:
    """Return the tenant that a request's path names. Raises RequestError (not_found)."""
    found = await _tenants(connection, request.names["tenant"])
    if not found:
        raise RequestError("not_found", "There is no such tenant.")
    return found[0]
