"""Handlers of operators: tenants, what they may have, and where their people log in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Json

from cortex_runtime.changelog.database import EVERY, Connection, about
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import (
    IdentityProvider,
    OnboardRequest,
    OnboardResponse,
    Quota,
    QuotaRequest,
    Tenant,
    Usage,
    encode,
)
from cortex_runtime.security import apikeys
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME, changed, changing, prove
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

_TENANTS = f"""
    select tenant.name, tier, state, to_char(created_at at time zone 'UTC', {TIME}),
           (select version from data_key where data_key.tenant = tenant.name and data_key.state = 'ACTIVE'),
           legal_hold,
           coalesce(sum(cortex.concepts), 0)::bigint, coalesce(sum(cortex.columns), 0)::bigint,
           coalesce(sum(cortex.bytes), 0)::bigint, quota.concepts, quota.columns, quota.storage,
           quota.requests
    from tenant join tenant_quota quota on quota.tenant = tenant.name
        left join cortex on cortex.tenant = tenant.name
    where %s::text is null or tenant.name = %s
    group by tenant.name, quota.tenant order by tenant.name
"""  # noqa: S608 - the only thing put in is the constant above  # nosec B608
_SET_QUOTA = """
    insert into tenant_quota (tenant, concepts, columns, storage, requests) values (%s, %s, %s, %s, %s)
    on conflict (tenant) do update set concepts = excluded.concepts, columns = excluded.columns,
        storage = excluded.storage, requests = excluded.requests
"""


async def onboard(service: Service, request: Request) -> bytes:
    """Make a tenant with its first data key and API key, or return the one that exists."""
    wanted = request.decode(OnboardRequest)
    request.names["tenant"] = wanted.tenant  # for the audit log
    try:
        kek_version, index_key = await asyncio.to_thread(service.directory.make_index_key, wanted.tenant)
        _, wrapped, check_value = await asyncio.to_thread(service.directory.make_data_key, wanted.tenant, 1)
    except KeyringError as error:
        raise RequestError(
            "conflict", f"Region {service.config.region} has no usable key of {wanted.tenant}: {error}."
        ) from error
    async with about(service.primary, CALL_TIMEOUT, wanted.tenant) as connection:
        cursor = await connection.execute(
            "insert into tenant (name, tier, keyring_generation, kek_version, index_key)"
            " values (%s, %s, %s, %s, %s) on conflict do nothing",
            [wanted.tenant, wanted.tier, wanted.keyring_generation, kek_version, index_key],
        )
        created = cursor.rowcount == 1
        if not created and (await tenant_of(connection, request)).state in ("leaving", "gone"):
            raise RequestError("conflict", "A tenant of this name has left; its name is not given again.")
        if created:
            await _set_quota(connection, wanted.tenant, wanted.quota)
            await connection.execute(
                "insert into data_key"
                " (tenant, version, state, kek_version, wrapped, check_value, activated_at)"
                " values (%s, 1, 'ACTIVE', %s, %s, %s, clock_timestamp())",
                [wanted.tenant, kek_version, wrapped, check_value],
            )
            await prove(connection, service, wanted.tenant, 1)
        api_key = await apikeys.issue(
            connection, service.token_keys.current(), request.idempotency_key, wanted.tenant, role="admin",
            new=created,
        )  # fmt: skip
        await changed(connection, service, request)
        tenant = (await _tenants(connection, wanted.tenant))[0]
    return encode(OnboardResponse(tenant=tenant, created=api_key is not None, api_key=api_key))


async def list_tenants(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return all tenants."""
    async with about(service.primary, CALL_TIMEOUT, EVERY) as connection:
        return encode(await _tenants(connection, None))


async def show_tenant(service: Service, request: Request) -> bytes:
    """Return one tenant."""
    async with about(service.primary, CALL_TIMEOUT, request.names["tenant"]) as connection:
        return encode(await tenant_of(connection, request))


async def set_quota(service: Service, request: Request) -> bytes:
    """Give a tenant another tier and quota; what it has beyond stays, and only less of it can come."""
    wanted = request.decode(QuotaRequest)
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        await _set_quota(connection, request.names["tenant"], wanted.quota)
        await connection.execute(
            "update tenant set tier = %s where name = %s", [wanted.tier, request.names["tenant"]]
        )
        return encode(await tenant_of(connection, request))


async def suspend(service: Service, request: Request) -> bytes:
    """Shut a tenant out: its tokens are refused on every node within seconds, and nobody logs in."""
    return await _set_state(service, request, "active", "suspended")


async def resume(service: Service, request: Request) -> bytes:
    """Let a tenant that was suspended in again; tokens from before stay refused."""
    return await _set_state(service, request, "suspended", "active")


async def set_identity_provider(service: Service, request: Request) -> bytes:
    """Say where a tenant's people log in."""
    wanted = request.decode(IdentityProvider)
    unknown = sorted(set(wanted.roles.values()) - set(service.rbac.roles("tenant")))
    if unknown:
        raise RequestError("invalid", f"There is no role {', '.join(unknown)} for tenants.")
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        await connection.execute(
            "insert into identity_provider (tenant, issuer, client_id, role_claim, roles, ca)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (tenant) do update set issuer = excluded.issuer,"
            " client_id = excluded.client_id, role_claim = excluded.role_claim, roles = excluded.roles,"
            " ca = excluded.ca",
            [
                request.names["tenant"], wanted.issuer, wanted.client_id, wanted.role_claim,
                Json(wanted.roles), wanted.ca,
            ],
        )  # fmt: skip
    return encode(wanted)


async def remove_identity_provider(service: Service, request: Request) -> bytes:
    """Let nobody log in by OpenID Connect any more."""
    async with changing(service, request) as connection:
        await tenant_of(connection, request)
        await connection.execute("delete from identity_provider where tenant = %s", [request.names["tenant"]])
    return b"{}"


async def tenant_of(connection: Connection, request: Request) -> Tenant:
    """Return the tenant that a request's path names. Raises RequestError (not_found)."""
    found = await _tenants(connection, request.names["tenant"])
    if not found:
        raise RequestError("not_found", "There is no such tenant.")
    return found[0]


async def _set_state(service: Service, request: Request, before: str, after: str) -> bytes:
    async with changing(service, request) as connection:
        found = await tenant_of(connection, request)
        if found.state not in (before, after):
            raise RequestError("conflict", f"The tenant is {found.state}.")
        # A token is of an epoch: those from before the change never come back.
        await connection.execute(
            "update tenant set state = %s, epoch = epoch + 1 where name = %s and state = %s",
            [after, request.names["tenant"], before],
        )
        return encode(await tenant_of(connection, request))


async def _set_quota(connection: Connection, tenant: str, quota: Quota) -> None:
    await connection.execute(
        _SET_QUOTA, [tenant, quota.concepts, quota.columns, quota.storage, quota.requests]
    )


async def _tenants(connection: Connection, name: str | None) -> list[Tenant]:
    rows = await (await connection.execute(_TENANTS, [name, name])).fetchall()
    return [_tenant(*row) for row in rows]


def _tenant(
    name: str, tier: str, state: str, created_at: str, version: int | None, held: bool, *numbers: Any
) -> Tenant:
    usage, quota = numbers[:3], numbers[3:]
    return Tenant(
        tenant=name, tier=tier, state=state, created_at=created_at, key_version=version, legal_hold=held,
        usage=Usage(**dict(zip(Usage.__struct_fields__, usage, strict=True))),
        quota=Quota(**dict(zip(Quota.__struct_fields__, quota, strict=True))),
    )  # fmt: skip
