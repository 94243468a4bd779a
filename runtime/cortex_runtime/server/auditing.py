"""Handlers of operators: the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.formats.messages import encode
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.trail import Wanted, search

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

MAX_EVENTS = 1000
CALL_TIMEOUT = 10.0
FILTERS = ("actor", "action", "result", "resource", "session", "request_id")


async def audit_trail(service: Service, request: Request) -> bytes:
    """Return audit events, the newest first."""
    query = request.query
    wanted = Wanted(
        tenant=tenant_in(request),
        since=_time(query.get("since")),
        until=_time(query.get("until")),
        actors=service.pseudonyms.all_of,
        **{name: query.get(name) for name in FILTERS},
    )
    limit = number_in(request, "limit", 100, 1, MAX_EVENTS)
    await service.audit.flush()
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        return encode(await search(connection, wanted, limit))


def tenant_in(request: Request) -> str | None:
    """Return the tenant that a query names, '' for the log of no tenant, None when it names none."""
    name = request.query.get("tenant")
    return "" if name == NO_TENANT else name


def number_in(request: Request, name: str, otherwise: int, least: int, most: int) -> int:
    """Return a number of the query. Raises RequestError (invalid)."""
    text = request.query.get(name, str(otherwise))
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and least <= int(text) <= most):
        raise RequestError("invalid", f"{name} is a number from {least} to {most}.")
    return int(text)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError("invalid", "since and until are times like 2026-01-31T12:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
