"""Handlers of operators: API keys of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import about
from cortex_runtime.formats.messages import ApiKey, ApiKeyRequest, ApiKeyResponse, encode
from cortex_runtime.security import apikeys
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changing
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.tenants import tenant_of

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

_API_KEYS = f"""
    select id, role, once, to_char(created_at at time zone 'UTC', {TIME}),
           to_char(used_at at time zone 'UTC', {TIME})
    from api_key where tenant = %s order by created_at, id
"""  # noqa: S608 - the only thing put in is the constant above  # nosec B608


async def make_api_key(service: Service, request: Request) -> bytes:
    """Make a further API key."""
    wanted = request.decode(ApiKeyRequest) if request.body else ApiKeyRequest()
    tenant = request.names["tenant"]
    if wanted.role not in service.rbac.roles("tenant"):
        raise RequestError("invalid", f"There is no role {wanted.role} for tenants.")
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        key = await apikeys.issue(
            connection, service.token_keys.current(), request.idempotency_key, tenant, role=wanted.role,
            once=wanted.once, new=True,
        )  # fmt: skip
    assert key is not None
    return encode(ApiKeyResponse(tenant=tenant, api_key=key, role=wanted.role, once=wanted.once))


async def list_api_keys(service: Service, request: Request) -> bytes:
    """Return a tenant's API keys, without their secrets."""
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        await tenant_of(connection, request)
        rows = await (await connection.execute(_API_KEYS, [request.names["tenant"]])).fetchall()
    return encode([ApiKey(**dict(zip(ApiKey.__struct_fields__, row, strict=True))) for row in rows])


async def revoke_api_key(service: Service, request: Request) -> bytes:
    """Take an API key away: it and the tokens got for it are refused on every node within seconds."""
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        cursor = await connection.execute(
            "delete from api_key where tenant = %s and id = %s",
            [request.names["tenant"], request.names["key"]],
        )
        if cursor.rowcount != 1:
            raise RequestError("not_found", "There is no such API key.")
    return b"{}"
