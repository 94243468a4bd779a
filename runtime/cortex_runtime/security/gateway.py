"""The gateway: admission, authentication, tenant, permission, rate limit; always in this order.

A token's verification costs 200 µs, so a verified one is remembered for a minute; whether its session, its
API key or its tenant has ended since is asked each time. Before any cryptography comes admission: an address
that sent many bad tokens, and more new tokens a second than a node has time for, are refused unread.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from cortex_runtime.formats.tokenkeys import TokenKeysError
from cortex_runtime.formats.tokens import Claims, InvalidToken, Verifier
from cortex_runtime.security.directory import Directory, TenantEntry
from cortex_runtime.security.ratelimit import Gcra, RateLimiter
from cortex_runtime.security.rbac import Guarded, Rbac
from cortex_runtime.security.scraper import ROLE as SCRAPER
from cortex_runtime.security.scraper import Scraper
from cortex_runtime.server.errors import RequestError

CACHED_SECONDS = 60.0
MAX_CACHED = 10_000
BAD_TOKENS_A_SECOND, BAD_TOKENS_AT_ONCE = 1.0, 20
NEW_TOKENS_A_SECOND = 1_000.0
MAX_ADDRESSES = 10_000
_INVALID = "The token is not valid."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as the audit log names him. `tenant` is empty for operators and strangers."""

    subject: str
    tenant: str
    session: str | None
    address: str
    agent: str
    claims: Claims | None = None


class Gateway:
    """Decides whether a request may go on."""

    def __init__(
        self, verifier: Verifier, directory: Directory, rbac: Rbac, limiter: RateLimiter,
        scraper: Scraper | None = None,
    ) -> None:  # fmt: skip
        self._verifier, self._directory, self._rbac, self._limiter = verifier, directory, rbac, limiter
        self._scraper = scraper
        self._cache: dict[bytes, tuple[Claims, float]] = {}
        self._bad = Gcra(BAD_TOKENS_AT_ONCE / BAD_TOKENS_A_SECOND, MAX_ADDRESSES)
        self._lane = Gcra(1.0, 1)

    def admit(
        self,
        route: Guarded,
        tenant: str | None,
        authorization: str,
        address: str,
        agent: str,
        *,
        forwarded: bool = False,
    ) -> Caller:
        """Return the caller of a request to a route, about this tenant if about any.

        `forwarded`: another node has counted it already. Raises RequestError: unauthenticated, not_found (an
        unknown tenant and a foreign one look alike), forbidden or rate_limited.
        """
        if route.audience == "public":
            return Caller("anonymous", "", None, address, agent)
        if self._is_scraped(route, authorization):
            return Caller(SCRAPER, "", None, address, agent)
        claims = self._authenticate(authorization, address)
        caller = Caller(claims.sub, claims.tid, claims.sid, address, agent, claims)
        try:
            entry = self._check_tenant(route, tenant, claims)
            self._check_permission(route, claims)
            if entry and not forwarded:
                self._check_rate(entry)
        except RequestError as error:
            error.caller = caller
            raise
        return caller

    def _is_scraped(self, route: Guarded, authorization: str) -> bool:
        """Tell whether the scraper asks for what it may. Anything else that it asks for has no good token."""
        return (
            self._scraper is not None
            and route.audience == "operator"
            and self._rbac.allows(SCRAPER, route.action)
            and self._scraper.shown(authorization)
        )

    def _authenticate(self, authorization: str, address: str) -> Claims:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RequestError("unauthenticated", "A bearer token is needed.", reason="no token")
        key = hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        now = time.time()
        known = self._cache.get(key)
        if known is None or now >= known[1]:
            claims = self._verify(token, address)
            if len(self._cache) >= MAX_CACHED:
                self._cache.pop(next(iter(self._cache)))
            known = self._cache[key] = claims, min(claims.exp, now + CACHED_SECONDS)
        claims = known[0]
        if self._directory.denied(claims.sid):
            raise RequestError("unauthenticated", _INVALID, reason="session ended")
        return claims

    def _verify(self, token: str, address: str) -> Claims:
        if self._bad.exceeded(address):
            raise RequestError("rate_limited", "Too many bad tokens came from your address; wait a while.")
        if not self._lane.allow("", NEW_TOKENS_A_SECOND):
            raise RequestError("unavailable", "This node verifies too many new tokens just now; try again.")
        try:
            return self._verifier.verify(token)
        except InvalidToken as error:
            self._bad.allow(address, BAD_TOKENS_A_SECOND)
            raise RequestError("unauthenticated", _INVALID, reason=str(error)) from None
        except TokenKeysError as error:
            raise RequestError("unavailable", "This node has no token keys.", reason=str(error)) from None

    def _check_permission(self, route: Guarded, claims: Claims) -> None:
        if not self._rbac.allows(claims.role, route.action):
            raise RequestError("forbidden", f"The role {claims.role} may not do this ({route.action}).")

    def _check_rate(self, entry: TenantEntry) -> None:
        rate = entry.quota.requests
        if not self._limiter.allow(entry.name, rate):
            raise RequestError("rate_limited", f"The tenant's rate limit ({rate}/s) is reached.")

    def _check_tenant(self, route: Guarded, tenant: str | None, claims: Claims) -> TenantEntry | None:
        """Return the tenant whose token it is, None of an operator's. Raises RequestError."""
        if route.audience == "operator":
            if claims.iss != "operator":
                raise RequestError("forbidden", "This is for operators.")
            return None
        if claims.iss == "operator":
            raise RequestError("forbidden", "An operator has no access to a tenant's data.")
        if not self._directory.version:
            raise RequestError("unavailable", "This node does not know the tenants yet; try again.")
        entry = self._directory.tenants.get(claims.tid)
        if tenant not in (None, claims.tid) or entry is None:
            raise RequestError("not_found", "There is no such tenant.", reason=f"token of {claims.tid}")
        if entry.state != "active" or entry.epoch != claims.epoch:
            raise RequestError("unauthenticated", _INVALID, reason="tenant's epoch or state")
        if not entry.has_subject(claims.sub):
            raise RequestError("unauthenticated", _INVALID, reason="API key revoked")
        return entry
