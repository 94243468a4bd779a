"""Handlers of login and logout."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cortex_runtime.formats import tokens
from cortex_runtime.formats.messages import LoginRequest, LoginResponse, encode
from cortex_runtime.security.directory import TenantEntry, api_key_hash
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service


async def login(service: Service, request: Request) -> bytes:
    """Exchange an API key for a token. An unknown tenant and a wrong key look alike."""
    wanted = request.decode(LoginRequest)
    request.names["tenant"] = wanted.tenant  # for the audit log
    known = _known_key(service, wanted)
    if known is None and await service.renew_directory():
        known = _known_key(service, wanted)
    if known is None:
        raise RequestError(
            "unauthenticated", "The tenant or its API key is not valid.", reason="login refused"
        )
    entry, name = known
    token, claims = tokens.mint(
        service.signing_key, "node", subject=f"key:{name}", tenant=entry.name, epoch=entry.epoch
    )
    return encode(LoginResponse(token=token, session=claims.sid, expires_in=tokens.LIFETIME))


async def logout(service: Service, request: Request) -> bytes:
    """End the caller's session: its tokens are refused on every node within seconds."""
    session = request.caller.session or ""
    async with service.primary.connection(3.0) as connection, connection.transaction():
        await connection.execute(
            "insert into denied (session, until) values (%s, clock_timestamp() + make_interval(secs => %s))"
            " on conflict do nothing",
            [session, tokens.LIFETIME],
        )
        await connection.execute("update directory set version = version + 1")
    service.directory.deny(session)
    return b"{}"


def _known_key(service: Service, wanted: LoginRequest) -> tuple[TenantEntry, str] | None:
    entry = service.directory.tenants.get(wanted.tenant)
    if entry is None or entry.state != "active":
        return None
    given = api_key_hash(wanted.api_key)
    matching = [name for name, kept in entry.api_keys.items() if hmac.compare_digest(kept, given)]
    return (entry, matching[0]) if matching else None
