"""People log in by their organisation's identity provider (OpenID Connect Core 1.0, Discovery 1.0).

The client has had the provider authenticate its user and shows the ID token; here it is verified by the
provider's published keys. They are fetched by discovery, kept for ten minutes, and fetched again when a token
names a key that is not among them, twice a minute at most: a provider that is down locks nobody out whose key
is known, and a flood of strange keys does not make this node flood the provider.
"""

from __future__ import annotations

import base64
import hmac
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from cortex_runtime.formats import decoding

MAX_TOKEN_BYTES = 16_384
MAX_DOCUMENT_BYTES = 1 << 20
TIMEOUT = 3.0
KEPT_SECONDS = 600.0
REFETCH_PAUSE = 30.0
SKEW = 30
LONGEST_LIFE = 24 * 3600
# What a key of a kind may have signed: an algorithm is never the token's choice alone.
ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA", "Ed25519"),
}


class LoginRefused(ValueError):
    """The ID token is not to be believed, or says nothing that gives a role; for the log alone."""


class ProviderUnreachable(Exception):
    """The provider's documents are not to be had, and not known."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A tenant's provider. `roles` maps values of the claim `role_claim` to roles, the first that fits.

    `ca` is the PEM of the CA that its TLS certificate is checked by, empty for the system's.
    """

    issuer: str
    client_id: str
    role_claim: str
    roles: dict[str, str]
    ca: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Who logged in: the provider's subject, and the role that his claims give him. `until`: seconds."""

    subject: str
    role: str
    until: int


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    crit: Any = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: int
    iat: int
    nonce: str
    azp: str | None = None


@dataclass(slots=True)
class _Known:
    keys: list[dict[str, Any]]
    fetched: float


class Oidc:
    """Verifies ID tokens of any number of providers."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._tried: dict[str, float] = {}

    async def verify(self, provider: IdentityProvider, token: str, nonce: str) -> Person:
        """Return who an ID token is of. Raises LoginRefused or ProviderUnreachable.

        `nonce` is what the client had the provider put into the token (OpenID Connect Core, 3.1.3.7).
        """
        header, claims, payload = _read(token)
        key = await self._key(provider, header)
        try:
            kind = JWKRegistry.import_key(key)
            jwt.decode(token, kind, algorithms=list(ALGORITHMS[key["kty"]]))
        except (ValueError, KeyError, TypeError, JoseError, RecursionError) as error:
            raise LoginRefused(f"signature: {error}") from None
        _check(provider, claims, nonce)
        return Person(claims.sub, _role(provider, payload), claims.exp)

    async def _key(self, provider: IdentityProvider, header: _Header) -> dict[str, Any]:
        if header.crit is not None:
            raise LoginRefused("critical header")
        for fresh in (False, True):
            for key in await self._keys(provider, fresh=fresh):
                fits = header.alg in ALGORITHMS.get(key.get("kty", ""), ()) and key.get("use", "sig") == "sig"
                if fits and key.get("kid") == header.kid:
                    return key
        raise LoginRefused("no such key, or not of this algorithm")

    async def _keys(self, provider: IdentityProvider, *, fresh: bool) -> list[dict[str, Any]]:
        """Return the provider's keys: fetched when old, or when `fresh` ones are asked for and it is time."""
        known, now = self._known.get(provider.issuer), time.monotonic()
        old = known is None or now - known.fetched > KEPT_SECONDS
        if (old or fresh) and now - self._tried.get(provider.issuer, float("-inf")) > REFETCH_PAUSE:
            self._tried[provider.issuer] = now
            try:
                known = self._known[provider.issuer] = _Known(await _fetch_keys(provider), now)
            except (httpx.HTTPError, ValueError, OSError) as error:
                if known is None:
                    raise ProviderUnreachable(f"{provider.issuer}: {error}") from error
        if known is None:
            raise ProviderUnreachable(f"{provider.issuer} did not answer a moment ago")
        return known.keys


async def _fetch_keys(provider: IdentityProvider) -> list[dict[str, Any]]:
    context = ssl.create_default_context(cadata=provider.ca or None)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=TIMEOUT) as http:
        address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        metadata = msgspec.json.decode(await _fetch(http, address), type=_Metadata)
        if metadata.issuer != provider.issuer or not metadata.jwks_uri.startswith("https://"):
            raise ValueError("the provider's metadata are of another issuer, or its keys not behind TLS")
        return msgspec.json.decode(await _fetch(http, metadata.jwks_uri), type=_Keys).keys


async def _fetch(http: httpx.AsyncClient, address: str) -> bytes:
    async with http.stream("GET", address) as answer:
        answer.raise_for_status()
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > MAX_DOCUMENT_BYTES:
                raise ValueError(f"{address} has more than {MAX_DOCUMENT_BYTES} bytes")
        return content


def _read(token: str) -> tuple[_Header, _Claims, dict[str, Any]]:
    """Return header, claims and all of the payload, unverified. Raises LoginRefused."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_BYTES or len(parts) != 3 or not token.isascii():
        raise LoginRefused("shape")
    try:
        header, payload = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts[:2])
        everything: dict[str, Any] = json.loads(payload, object_pairs_hook=_distinct)
        return (
            msgspec.json.decode(header, type=_Header),
            msgspec.json.decode(payload, type=_Claims),
            everything,
        )
    except (ValueError, RecursionError) as error:
        raise LoginRefused(str(error)) from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a claim stands twice")
    return found


def _check(provider: IdentityProvider, claims: _Claims, nonce: str) -> None:
    now = time.time()
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != provider.issuer:
        raise LoginRefused("issuer")
    if provider.client_id not in audience or (len(audience) > 1 and claims.azp != provider.client_id):
        raise LoginRefused("audience")
    if not claims.iat - SKEW <= now < claims.exp or claims.exp - claims.iat > LONGEST_LIFE:
        raise LoginRefused("time")
    if not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
        raise LoginRefused("nonce")


def _role(provider: IdentityProvider, payload: dict[str, Any]) -> str:
    value = payload.get(provider.role_claim)
    values = value if isinstance(value, list) else [value]
    for wanted, role in provider.roles.items():
        if wanted in values:
            return role
    raise LoginRefused(f"claim {provider.role_claim} gives no role")


decoding.learn(globals())
