"""What all ways of delivery share: how they fail, how they wait, and requests that end in bounded time."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import httpx

from cortex_runtime.formats.messages import AuditEvent
from cortexctl.errors import UsageError

PAUSE, MAX_PAUSE, MAX_RETRY_AFTER = 0.5, 30.0, 300.0
MAX_ANSWER = 1 << 16


class NotDelivered(Exception):
    """The receiver did not take the events; `retry_after`: seconds that it asked for."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Sender(Protocol):
    """A way to a receiver."""

    def send(self, events: Sequence[AuditEvent]) -> None:
        """Return when the receiver has acknowledged the events. Raises NotDelivered."""


def pause(attempt: int, failure: NotDelivered) -> float:
    """Return how long to wait after so many failures: a random part of a growing bound, or what was asked."""
    waiting = random.uniform(0, min(MAX_PAUSE, PAUSE * 2 ** min(attempt, 10)))  # noqa: S311 - it spreads load  # nosec B311
    if failure.retry_after is not None:
        return min(failure.retry_after, MAX_RETRY_AFTER) + waiting
    return waiting


def trust(ca: Path | None) -> ssl.SSLContext:
    """Return what trusts the system's CAs, or this one alone. Raises UsageError."""
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise UsageError(f"{ca} is no CA's certificate.", why=str(error), todo="Mend the path.") from error


def post(
    client: httpx.Client,
    url: str | httpx.URL,
    body: bytes,
    headers: dict[str, str],
    deadline: float,
    **more: str,
) -> bytes:
    """Send a body and return the answer's. Raises NotDelivered unless it is a success in bounded time."""
    until, answer = time.monotonic() + deadline, b""
    try:
        with client.stream("POST", url, content=body, headers=headers, extensions=more) as response:
            for part in response.iter_raw():
                answer += part
                if len(answer) > MAX_ANSWER or time.monotonic() > until:
                    raise NotDelivered("the answer is too long, or takes too long")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        raise NotDelivered(str(error) or type(error).__name__) from error
    if not response.is_success:
        asked = response.headers.get("retry-after") if response.status_code in (429, 503) else None
        raise NotDelivered(f"it answered {response.status_code}", retry_after(asked))
    return answer


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a header Retry-After asks for (RFC 9110, 10.2.3), None when it is none."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
