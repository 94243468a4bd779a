"""See the package."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx
import msgspec

from cortex_runtime.formats.messages import ErrorResponse, Position

T = TypeVar("T")
RETRY_PAUSE = 0.05
RETRY_PAUSE_MAX = 0.5
RETRIED = frozenset({"unavailable", "outcome_unknown", "rate_limited"})


class ClientError(Exception):
    """Base of what the client raises. `unknown`: what was asked for may have happened all the same.

    It looks back over all attempts: one that was certainly refused doesn't undo one before it that
    may have gone through.
    """

    unknown = False


class ApiError(ClientError):
    """The service answered with an error."""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{message} ({status} {code}, request {request_id})")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id
        self.unknown = code == "outcome_unknown" or status == 500


class ConnectionFailed(ClientError):
    """No answer came. `unsent` is True when the request certainly did not reach the service."""

    def __init__(self, url: str, reason: str, *, unsent: bool) -> None:
        super().__init__(f"{url}: {reason}")
        self.unsent = unsent
        self.unknown = not unsent


class Client:
    """A client of one front door. Safe to use from several threads.

    `token` is a bearer token, or a function that returns a current one. Requests that change something
    carry an idempotency key, made here when none is given, and are repeated with the same one until
    `deadline` seconds have passed: a repetition never does a thing twice.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca: Path,
        token: str | Callable[[], str] = "",
        certificate: Path | None = None,
        timeout: float = 10.0,
        deadline: float = 30.0,
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        if certificate:
            context.load_cert_chain(certificate)
        self._token = token
        self._deadline = deadline
        self._http = httpx.Client(
            base_url=base_url, verify=context, timeout=timeout, trust_env=False,
            headers={"user-agent": "cortexctl"}, limits=httpx.Limits(keepalive_expiry=5.0),
        )  # fmt: skip

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | None = None,
        *,
        type: type[T],  # noqa: A002 - the name msgspec uses for the same thing
        idempotency_key: str | None = None,
        deadline: float | None = None,
        position: Position | None = None,
    ) -> T:
        """Send one request and return its decoded answer. Raises ApiError or ConnectionFailed.

        A read with a `position` sees at least everything up to it.
        """
        key = idempotency_key or (None if method == "GET" else uuid.uuid4().hex)
        content = b"" if body is None else msgspec.json.encode(body)
        until = time.monotonic() + (self._deadline if deadline is None else deadline)
        pause, unknown = RETRY_PAUSE, False
        while True:
            try:
                return msgspec.json.decode(self._send(method, path, content, key, position), type=type)
            except (ApiError, ConnectionFailed) as error:
                error.unknown = unknown = method != "GET" and (unknown or error.unknown)
                final = isinstance(error, ApiError) and error.code not in RETRIED
                if final or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, RETRY_PAUSE_MAX)

    def _send(
        self, method: str, path: str, content: bytes, key: str | None, position: Position | None
    ) -> bytes:
        headers = {"content-type": "application/json"}
        if token := self._token() if callable(self._token) else self._token:
            headers["authorization"] = f"Bearer {token}"
        if key:
            headers["idempotency-key"] = key
        if position:
            headers["cortex-position"] = f"{position.slot}.{position.token}.{position.seq}"
        try:
            response = self._http.request(method, path, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ConnectionFailed(f"{self._http.base_url}{path}", str(error), unsent=True) from error
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise ConnectionFailed(f"{self._http.base_url}{path}", reason, unsent=False) from error
        if response.is_success:
            return response.content
        raise _error(response)


def _error(response: httpx.Response) -> ApiError:
    try:
        detail = msgspec.json.decode(response.content, type=ErrorResponse).error
    except ValueError:  # the load balancer's own page: 503 when it had no node, else a node that fell silent
        codes = {502: "outcome_unknown", 503: "unavailable", 504: "outcome_unknown"}
        code = codes.get(response.status_code, "invalid")
        return ApiError(response.status_code, code, response.reason_phrase, "-")
    return ApiError(response.status_code, detail.code, detail.message, detail.request_id)
