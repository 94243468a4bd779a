"""Handlers of login, by API key or by OpenID Connect, and of sessions."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cortex_runtime.changelog.database import about
from cortex_runtime.formats import tokens
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.messages import (
    LoginProvider,
    LoginRequest,
    LoginResponse,
    OidcLoginRequest,
    Session,
    encode,
)
from cortex_runtime.formats.tokens import Claims
from cortex_runtime.security.apikeys import api_key_hash
from cortex_runtime.security.directory import ApiKey, TenantEntry
from cortex_runtime.security.oidc import LoginRefused, ProviderUnreachable
from cortex_runtime.server.changing import CALL_TIMEOUT
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

SESSION_SECONDS = 12 * 3600  # then one logs in anew, however often the token was renewed


async def login(service: Service, request: Request) -> bytes:
    """Exchange an API key for a token. An unknown tenant and a wrong key look alike."""
    wanted = request.decode(LoginRequest)
    request.names["tenant"] = wanted.tenant  # for the audit log
    known = _known_key(service, wanted)
    if known is None and await service.renew_directory():
        known = _known_key(service, wanted)
    if known is None:
        raise _refused("login refused")
    entry, name, key = known
    if key.once:
        await _use_up(service, entry.name, name)
    return _begin(service, entry, f"key:{name}", key.role)


async def login_oidc(service: Service, request: Request) -> bytes:
    """Exchange an ID token of the tenant's identity provider for a token."""
    wanted = request.decode(OidcLoginRequest)
    request.names["tenant"] = wanted.tenant
    entry = service.directory.tenants.get(wanted.tenant)
    if (entry is None or entry.identity is None) and await service.renew_directory():
        entry = service.directory.tenants.get(wanted.tenant)
    if entry is None or entry.state != "active" or entry.identity is None:
        raise _refused("no identity provider")
    try:
        person = await service.oidc.verify(entry.identity, wanted.id_token, wanted.nonce)
    except LoginRefused as error:
        raise _refused(f"ID token: {error}") from None
    except ProviderUnreachable as error:
        raise RequestError(
            "unavailable", "The identity provider does not answer; try again.", reason=str(error)
        ) from error
    # What is signed tells a token; its signature may be written in more ways than one.
    signed = hashlib.sha256(wanted.id_token.rpartition(".")[0].encode()).digest()
    await _take_once(service, entry.name, signed, person.until)
    # Whose it is stands in the audit log as a keyed hash: it can be erased by erasing the key.
    who = framed("person", entry.identity.issuer, person.subject)
    subject = hmac.digest(service.directory.index_key(entry.name), who, "sha256")[:8].hex()
    return _begin(service, entry, f"person:{subject}", person.role)


async def show_provider(service: Service, request: Request) -> bytes:
    """Return where a tenant's people log in. Tenants without a provider and unknown ones look alike."""
    name = request.query.get("tenant", "")
    entry = service.directory.tenants.get(name)
    if (entry is None or entry.identity is None) and await service.renew_directory():
        entry = service.directory.tenants.get(name)
    if entry is None or entry.state != "active" or entry.identity is None:
        raise RequestError("not_found", "There is no identity provider of such a tenant.")
    found = entry.identity
    return encode(LoginProvider(issuer=found.issuer, client_id=found.client_id, ca=found.ca))


async def show_session(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return the caller's session."""
    claims = _claims(request)
    return encode(
        Session(
            session=claims.sid, tenant=claims.tid, subject=claims.sub, role=claims.role,
            began_at=_time(claims.auth_time), token_until=_time(claims.exp),
            session_until=_time(claims.auth_time + SESSION_SECONDS),
        )
    )  # fmt: skip


async def renew_session(service: Service, request: Request) -> bytes:
    """Give another token of the same session, while that is not too old."""
    claims = _claims(request)
    if time.time() > claims.auth_time + SESSION_SECONDS:
        raise RequestError("unauthenticated", "The session has become too old; log in anew.")
    token, _ = tokens.mint(
        service.token_keys.current(), subject=claims.sub, tenant=claims.tid, epoch=claims.epoch,
        role=claims.role, session=claims.sid, auth_time=claims.auth_time,
    )  # fmt: skip
    return _answer(token, claims)


async def logout(service: Service, request: Request) -> bytes:
    """End the caller's session: its tokens are refused on every node within seconds."""
    claims = _claims(request)
    session = claims.sid
    async with about(service.primary, CALL_TIMEOUT, claims.tid) as connection:
        await connection.execute(
            "insert into denied (session, tenant, until)"
            " values (%s, %s, clock_timestamp() + make_interval(secs => %s)) on conflict do nothing",
            [session, claims.tid, tokens.LIFETIME],
        )
        await connection.execute("update directory set version = version + 1")
    service.directory.deny(session)
    return b"{}"


def _begin(service: Service, entry: TenantEntry, subject: str, role: str) -> bytes:
    if role not in service.rbac.roles("tenant"):
        raise RequestError("forbidden", "Your role is not known here.", reason=f"unknown role {role}")
    token, claims = tokens.mint(
        service.token_keys.current(), subject=subject, tenant=entry.name, epoch=entry.epoch, role=role
    )
    return _answer(token, claims)


def _answer(token: str, claims: Claims) -> bytes:
    return encode(
        LoginResponse(token=token, session=claims.sid, expires_in=tokens.LIFETIME, role=claims.role)
    )


def _known_key(service: Service, wanted: LoginRequest) -> tuple[TenantEntry, str, ApiKey] | None:
    """Return a tenant with the API key that was given; takes as long when there is none."""
    entry, given = service.directory.tenants.get(wanted.tenant), api_key_hash(wanted.api_key)
    known = entry.api_keys if entry is not None else {}
    matching = [name for name, key in known.items() if hmac.compare_digest(key.hash, given)]
    hmac.compare_digest(bytes(32), given)
    if entry is None or entry.state != "active" or not matching or known[matching[0]].used_up:
        return None
    return entry, matching[0], known[matching[0]]


async def _use_up(service: Service, tenant: str, name: str) -> None:
    """Take an API key that is good for one login. Raises RequestError when somebody else has."""
    async with about(service.primary, CALL_TIMEOUT, tenant) as connection:
        cursor = await connection.execute(
            "update api_key set used_at = clock_timestamp()"
            " where tenant = %s and id = %s and used_at is null",
            [tenant, name],
        )
        await connection.execute("update directory set version = version + 1")
    if cursor.rowcount != 1:
        raise _refused("one-time key used up")


async def _take_once(service: Service, tenant: str, digest: bytes, until: int) -> None:
    """Remember an ID token while it is good. Raises RequestError when it was shown before."""
    async with about(service.primary, CALL_TIMEOUT, tenant) as connection:
        cursor = await connection.execute(
            "insert into shown_once (digest, tenant, until) values (%s, %s, to_timestamp(%s))"
            " on conflict do nothing",
            [digest, tenant, until],
        )
    if cursor.rowcount != 1:
        raise _refused("ID token shown before")


def _claims(request: Request) -> Claims:
    claims = request.caller.claims
    assert claims is not None  # the routes are for tenants alone
    return claims


def _refused(reason: str) -> RequestError:
    return RequestError("unauthenticated", "The tenant or its credentials are not valid.", reason=reason)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
