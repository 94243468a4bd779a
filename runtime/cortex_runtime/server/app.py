"""The RSGI application: one request from the socket to its answer."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import psycopg
import structlog
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from cortex_runtime import failpoints
from cortex_runtime.changelog.database import Unavailable
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import MAX_BODY_BYTES, ErrorDetail, ErrorResponse, encode
from cortex_runtime.security.directory import UnknownKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.security.gateway import Caller, Gateway
from cortex_runtime.security.hops import HEADER, Hops, InvalidHop
from cortex_runtime.server.errors import RequestError, code_of
from cortex_runtime.server.requests import Request, Route, match, parse_position
from cortex_runtime.server.service import Service

JSON = ("content-type", "application/json")
# After a body that nobody read to its end the connection is closed: another request must not be sent on it.
CLOSE = ("connection", "close")
BODY_TIMEOUT = 15.0  # seconds for all of a body: whoever sends it byte by byte shall not hold anything
MAX_DISCARDED = 4 * MAX_BODY_BYTES
DISCARD_TIMEOUT = 1.0
# What decides what a request is, and for whom.
ONCE = ("authorization", "content-length", "cortex-tenant", "cortex-position", "idempotency-key")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NOWHERE = Route("-", "-", "public", "-", None, "")  # type: ignore[arg-type]
log = structlog.get_logger()


class Application:
    """Answers requests. The order is always: route, gateway, body, handler, audit."""

    def __init__(self, service: Service, gateway: Gateway, hops: Hops, routes: list[Route]) -> None:
        self._service, self._gateway, self._hops, self._routes = service, gateway, hops, routes

    async def __call__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        if scope.path == "/healthz":
            ready = self._service.replica.ready
            protocol.response_str(200 if ready else 503, [], "ready\n" if ready else "not ready\n")
            return
        begun = time.perf_counter()
        headers = scope.headers
        given = headers.get("x-request-id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        route, request, forwarded = NOWHERE, None, False
        names: dict[str, str] = {}
        try:
            route, names = match(self._routes, scope.method, scope.path)
            _check_headers(headers)
            forwarded = self._is_forwarded(scope)
            caller = await self._admit(route, names.get("tenant"), scope, forwarded)
            query = _query(route, scope)
            _check_header(names.get("tenant") or caller.tenant, scope)
            request = self._request(
                route, names, query, scope, caller, request_id, forwarded, await _body(headers, protocol)
            )
            status, body = 200, await route.handler(self._service, request)
            if failpoints.ARMED:
                failpoints.reached(f"{route.action}:committed")
            self._audit(route, request)
        except Exception as error:
            failure = _failure(error)
            if failure.code == "internal":
                log.exception("request failed", request_id=request_id, route=route.path)
            status, body = failure.status, _explain(failure, request_id)
            if not forwarded:
                self._audit_refusal(route, names, request, scope, failure, request_id)
        answer = [JSON, ("x-request-id", request_id), ("cortex-node", self._service.config.name)]
        if request is None and _has_body(headers) and not await _discard(headers, protocol):
            answer.append(CLOSE)
        protocol.response_bytes(status, answer, body)
        self._measure(route, scope.method, status, begun)

    def _is_forwarded(self, scope: Scope) -> bool:
        """Tell whether another node has passed the request on. Raises RequestError for who only says so."""
        headers = scope.headers
        hop = headers.get(HEADER)
        if hop is None:
            return False
        authorization, request_id = headers.get("authorization") or "", headers.get("x-request-id") or ""
        try:
            self._hops.check(hop, scope.method, scope.path, authorization, _address(scope), request_id)
        except InvalidHop as error:
            raise RequestError(
                "unauthenticated", "Only nodes say that they pass a request on.", reason=str(error)
            ) from None
        return True

    async def _admit(self, route: Route, tenant: str | None, scope: Scope, forwarded: bool) -> Caller:
        if self._service.audit.full:
            raise RequestError("unavailable", "The audit log cannot be written; nothing is done without it.")
        address, agent = _address(scope), scope.headers.get("user-agent") or ""
        authorization = scope.headers.get("authorization") or ""
        try:
            return self._gateway.admit(route, tenant, authorization, address, agent, forwarded=forwarded)
        except RequestError as error:
            # This node may not have heard yet of a tenant that was made a moment ago.
            if error.code not in ("not_found", "unauthenticated") or error.caller is None:
                raise
            if not await self._service.renew_directory():
                raise
        return self._gateway.admit(route, tenant, authorization, address, agent, forwarded=forwarded)

    @staticmethod
    def _request(
        route: Route, names: dict[str, str], query: dict[str, str], scope: Scope, caller: Caller,
        request_id: str, forwarded: bool, body: bytes,
    ) -> Request:  # fmt: skip
        headers = scope.headers
        return Request(
            method=scope.method, path=scope.path, query=query, names=names,
            body=body, action=route.action, caller=caller, request_id=request_id,
            idempotency_key=headers.get("idempotency-key"),
            position=parse_position(headers.get("cortex-position")),
            authorization=headers.get("authorization") or "", forwarded=forwarded,
        )  # fmt: skip

    def _audit(self, route: Route, request: Request) -> None:
        if route.audited and not request.forwarded:
            self._service.audit.add(self._service.event(request, "done"))

    def _audit_refusal(
        self,
        route: Route,
        names: dict[str, str],
        request: Request | None,
        scope: Scope,
        failure: RequestError,
        request_id: str,
    ) -> None:
        if route is NOWHERE or failure.code in ("unavailable", "outcome_unknown"):
            return
        if request is None:
            caller = failure.caller or Caller(
                "anonymous", "", None, _address(scope), scope.headers.get("user-agent") or ""
            )
            request = Request(
                method=scope.method, path=route.path, query={}, names=names, body=b"", action=route.action,
                caller=caller, request_id=request_id, idempotency_key=None, position=None, authorization="",
                forwarded=False,
            )  # fmt: skip
        self._service.audit.add(self._service.event(request, f"refused: {failure.code}", failure.reason))

    def _measure(self, route: Route, method: str, status: int, begun: float) -> None:
        metrics = self._service.metrics
        metrics.requests.labels(method if route is not NOWHERE else "-", route.path, str(status)).inc()
        metrics.duration.labels(route.path).observe(time.perf_counter() - begun)
        if route.action in ("concept.put", "batch") and status >= 500:
            metrics.allocation_failures.inc()


def _has_body(headers: Any) -> bool:
    return headers.get("content-length", "0") != "0" or headers.get("transfer-encoding") is not None


def _query(route: Route, scope: Scope) -> dict[str, str]:
    """Return the parameters of a request. Raises RequestError (invalid) for one that the route has not."""
    pairs = parse_qsl(scope.query_string, keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs) or not found.keys() <= set(route.query):
        known = ", ".join(route.query) or "none"
        raise RequestError("invalid", f"This route takes these parameters, each once: {known}.")
    return found


def _check_headers(headers: Any) -> None:
    """Raise RequestError (invalid) for headers that others before us may have read in another way."""
    if any(len(headers.get_all(name)) > 1 for name in ONCE):
        raise RequestError("invalid", f"A request has each of these headers once: {', '.join(ONCE)}.")


def _check_header(tenant: str, scope: Scope) -> None:
    """Raise RequestError (invalid) when a request's header names another tenant than the request is about."""
    header = scope.headers.get("cortex-tenant")
    if header is not None and header != tenant:
        raise RequestError("invalid", "The header Cortex-Tenant names another tenant than the request.")


async def _body(headers: Any, protocol: HTTPProtocol) -> bytes:
    """Return the body. Raises RequestError: too_large without keeping more than the limit, or timeout."""
    too_large = RequestError("too_large", f"A body has at most {MAX_BODY_BYTES} bytes.")
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in protocol:
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise RequestError("timeout", f"The body was not here after {BODY_TIMEOUT:.0f} s.") from None
    if length is not None and size != int(length):
        raise RequestError("invalid", "The body is not as long as Content-Length says.")
    return b"".join(parts)


async def _discard(headers: Any, protocol: HTTPProtocol) -> bool:
    """Read what a refused client is still sending: cut off while it sends, it would see no answer.

    Return whether that was all of a body within the limit. Then the connection goes on: a handshake for each
    refusal would cost more than what is refused.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_DISCARDED:
        return False
    size = 0
    with suppress(TimeoutError, RuntimeError):  # some of it was read before
        async with asyncio.timeout(DISCARD_TIMEOUT):
            async for part in protocol:
                size += len(part)
                if size > MAX_DISCARDED:
                    return False
            return size <= MAX_BODY_BYTES and size == int(length or size)
    return False


def _address(scope: Scope) -> str:
    forwarded: str | None = scope.headers.get("x-forwarded-for")
    return forwarded.split(",")[-1].strip() if forwarded else scope.client.rpartition(":")[0]


def _failure(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    code = code_of(error)
    if code is not None:
        return RequestError(code, str(error), reason=type(error).__name__)
    if isinstance(error, psycopg.DataError):
        return RequestError("invalid", "A value of the request is not what it should be.", reason=str(error))
    if isinstance(error, Unavailable | psycopg.Error | UnknownKey | KeyringError):
        return RequestError(
            "unavailable", "The database or a key is not available; try again.", reason=str(error)
        )
    if isinstance(error, CannotOpen):
        return RequestError("internal", "A stored record does not open.", reason=str(error))
    return RequestError("internal", "The request failed; the node's log has its id.", reason=repr(error))


def _explain(failure: RequestError, request_id: str) -> bytes:
    detail = ErrorDetail(code=failure.code, message=failure.message, request_id=request_id)
    return encode(ErrorResponse(error=detail))
