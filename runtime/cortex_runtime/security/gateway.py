"""The gateway of every request: authenticate, tenant, permission, rate limit, in this order."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Literal

from cortex_runtime.formats.tokens import Claims, InvalidToken, Verifier
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.ratelimit import RateLimiter
from cortex_runtime.server.errors import RequestError

CACHED_SECONDS = 60.0
MAX_CACHED = 10_000
Audience = Literal["public", "tenant", "operator"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as the audit log names him. `tenant` is empty for operators and strangers."""

    subject: str
    tenant: str
    session: str | None
    address: str
    agent: str


class Gateway:
    """Decides whether a request may go on."""

    def __init__(self, verifier: Verifier, directory: Directory) -> None:
        self._verifier, self._directory = verifier, directory
        self._limiter = RateLimiter()
        self._cache: dict[bytes, tuple[Claims, float]] = {}

    def admit(
        self, audience: Audience, tenant: str | None, authorization: str, address: str, agent: str
    ) -> Caller:
        """Return the caller of a request to a route of this audience, about this tenant if about any.

        Raises RequestError: unauthenticated, not_found (an unknown tenant and a foreign one look alike),
        forbidden or rate_limited.
        """
        if audience == "public":
            return Caller("anonymous", "", None, address, agent)
        claims = self._authenticate(authorization)
        caller = Caller(claims.sub, claims.tid, claims.sid, address, agent)
        try:
            self._check(audience, tenant, claims)
        except RequestError as error:
            error.caller = caller
            raise
        return caller

    def _authenticate(self, authorization: str) -> Claims:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RequestError("unauthenticated", "A bearer token is needed.", reason="no token")
        key = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        now = time.time()
        known = self._cache.get(key)
        if known is None or now >= known[1]:
            claims = self._verify(token)
            if len(self._cache) >= MAX_CACHED:
                self._cache.pop(next(iter(self._cache)))
            known = self._cache[key] = claims, min(claims.exp, now + CACHED_SECONDS)
        claims = known[0]
        if self._directory.denied(claims.sid):
            raise RequestError("unauthenticated", "The token is not valid.", reason="session ended")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            return self._verifier.verify(token)
        except InvalidToken as error:
            raise RequestError("unauthenticated", "The token is not valid.", reason=str(error)) from None

    def _check(self, audience: Audience, tenant: str | None, claims: Claims) -> None:
        if audience == "operator":
            if claims.iss != "operator":
                raise RequestError("forbidden", "This is for operators.")
            return
        if claims.iss == "operator":
            raise RequestError("forbidden", "An operator has no access to a tenant's data.")
        if not self._directory.version:
            raise RequestError("unavailable", "This node does not know the tenants yet; try again.")
        entry = self._directory.tenants.get(claims.tid)
        if tenant not in (None, claims.tid) or entry is None:
            raise RequestError("not_found", "There is no such tenant.", reason=f"token of {claims.tid}")
        if entry.state != "active" or entry.epoch != claims.epoch:
            raise RequestError("unauthenticated", "The token is not valid.", reason="tenant's epoch or state")
        if not self._limiter.allow(entry.name, entry.tier):
            raise RequestError("rate_limited", f"The tenant's rate limit (tier {entry.tier}) is reached.")
