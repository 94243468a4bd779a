"""A request as handlers see it, and the table of routes: the OpenAPI document is made from it too."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cortex_runtime.formats.messages import PRINTABLE, Position
from cortex_runtime.security.gateway import Caller
from cortex_runtime.security.rbac import Audience
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.service import Service

T = TypeVar("T")
Handler = Callable[["Service", "Request"], Awaitable[bytes]]
_POSITION = re.compile(r"([0-9]{1,4})\.([0-9]{1,18})\.([0-9]{1,18})")
_CURSOR = re.compile(r"[0-9a-f]{32}")
_NAMES = {
    "tenant": re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]"),
    "cortex": re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"),
    "concept": re.compile(rf"{PRINTABLE}{{1,256}}"),
    "key": re.compile(r"[0-9a-f]{8}"),
    "version": re.compile(r"[0-9]{1,9}"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was admitted. `names` are the checked parts of its path."""

    method: str
    path: str
    query: dict[str, str]
    names: dict[str, str]
    body: bytes
    action: str
    caller: Caller
    request_id: str
    idempotency_key: str | None
    position: Position | None
    authorization: str
    forwarded: bool

    def decode(self, kind: type[T]) -> T:
        """Return the body as a message. Raises RequestError (invalid)."""
        try:
            found = msgspec.json.decode(self.body, type=kind)
            # Of a key that comes twice msgspec takes the last, and somebody before us maybe the first.
            json.loads(self.body, object_pairs_hook=_distinct)
        except (ValueError, RecursionError) as error:
            raise RequestError(
                "invalid", f"The body is not what this route takes: {error}.", reason="malformed body"
            ) from None
        return found


@dataclass(frozen=True, slots=True)
class Route:
    """A route: who may call it, what it is called in the audit log, and its messages."""

    method: str
    path: str
    audience: Audience
    action: str
    handler: Handler
    summary: str
    takes: Any = None
    gives: Any = None
    audited: bool = True
    query: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path.replace("{concept}", "(?P<concept>.+)"))
        object.__setattr__(self, "pattern", re.compile(parts, re.DOTALL))


def match(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a request and the names in its path, which the server has percent-decoded.

    A concept's id is the rest of its path: it may have slashes.

    Raises RequestError: not_found, method_not_allowed, or invalid for a name that nothing can have.
    """
    wrong_method = False
    for route in routes:
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        if route.method == method:
            return route, {name: _name(name, value) for name, value in found.groupdict().items()}
        wrong_method = True
    if wrong_method:
        raise RequestError("method_not_allowed", f"{path} does not take {method}.")
    raise RequestError("not_found", "There is no such resource.")


def parse_position(header: str | None) -> Position | None:
    """Return the position of a header `slot.token.seq`. Raises RequestError (invalid)."""
    if not header:
        return None
    found = _POSITION.fullmatch(header)
    if found is None:
        raise RequestError("invalid", "Cortex-Position is not of the form slot.token.seq.")
    slot, token, seq = map(int, found.groups())
    return Position(slot=slot, token=token, seq=seq)


def parse_cursor(text: str | None) -> bytes:
    """Return the record id of a cursor, the least when there is none. Raises RequestError (invalid)."""
    if text is None:
        return b""
    if not _CURSOR.fullmatch(text):
        raise RequestError("invalid", "`after` is not what a page ended with.")
    return bytes.fromhex(text)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    """Raise ValueError when an object of a body has a key twice."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("an object has the same key twice")


def _name(kind: str, value: str) -> str:
    if not _NAMES[kind].fullmatch(value):
        raise RequestError(
            "invalid", f"No {kind} can be named {value[:80]!r}.", reason=f"malformed {kind} name"
        )
    return value
