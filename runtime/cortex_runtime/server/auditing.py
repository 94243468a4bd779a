"""Handlers of operators: the audit log, its trees and what proves them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cortex_runtime.changelog.database import EVERY, about
from cortex_runtime.formats import merkle
from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.formats.messages import (
    AuditConsistency,
    AuditInclusion,
    AuditSegment,
    AuditTree,
    encode,
)
from cortex_runtime.objectstore import ObjectStoreError, open_store
from cortex_runtime.security import anchors, tree
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.trail import Wanted, search

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

MAX_EVENTS = 1000
CALL_TIMEOUT = 10.0
MAX_SEGMENTS = 1000
MAX_BYTES = 4 << 20
MAX_ANCHORS = 1000
MAX_NUMBER = 10**18
EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(0|[1-9][0-9]{0,8})")
_TREES = """
    select tenant, audit_tree.size, events, note
    from audit_tree join audit_checkpoint using (tenant, size) order by tenant
"""
_COLUMNS = "id::text, leaf, first_event, events, hash, content"
_SEGMENTS = f"""
    select {_COLUMNS} from (
        select *, sum(coalesce(length(content), 0)) over (order by leaf) as size from (
            select * from audit_segment where tenant = %(tenant)s and leaf >= %(first)s
            order by leaf limit %(most)s
        ) as page
    ) as sized
    where size <= %(size)s or leaf = %(first)s order by leaf
"""  # noqa: S608 - the only thing put in is the constant above  # nosec B608
_SEGMENT = f"select {_COLUMNS}, tenant from audit_segment where id = %s"  # noqa: S608  # nosec B608
FILTERS = ("actor", "action", "result", "resource", "session", "request_id")


async def audit_trail(service: Service, request: Request) -> bytes:
    """Return audit events, the newest first."""
    query = request.query
    request.names["log"] = query.get("tenant", "*")  # for the audit log
    wanted = Wanted(
        tenant=tenant_in(request),
        since=_time(query.get("since")),
        until=_time(query.get("until")),
        actors=service.pseudonyms.all_of,
        **{name: query.get(name) for name in FILTERS},
    )
    limit = number_in(request, "limit", 100, 1, MAX_EVENTS)
    await service.audit.flush()
    scope = EVERY if wanted.tenant is None else wanted.tenant or NO_TENANT
    async with about(service.primary, CALL_TIMEOUT, scope) as connection:
        return encode(await search(connection, wanted, limit))


async def audit_trees(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return the heads of all logs."""
    async with about(service.primary, CALL_TIMEOUT, EVERY) as connection:
        rows = await (await connection.execute(_TREES)).fetchall()
    return encode(
        [AuditTree(tenant=tenant or NO_TENANT, size=size, events=events, checkpoint=note)
         for tenant, size, events, note in rows]
    )  # fmt: skip


async def audit_segments(service: Service, request: Request) -> bytes:
    """Return segments of a log from a leaf on, in the order of the tree: as many as fit an answer."""
    tenant, first = _log_in(request), number_in(request, "first", 0, 0, MAX_NUMBER)
    parameters = {"tenant": tenant, "first": first, "most": MAX_SEGMENTS, "size": MAX_BYTES}
    async with about(service.primary, CALL_TIMEOUT, tenant or NO_TENANT) as connection:
        rows = await (await connection.execute(_SEGMENTS, parameters, binary=True)).fetchall()
    return encode([_segment(row) for row in rows])


async def audit_anchors(service: Service, request: Request) -> bytes:
    """Return the newest checkpoints of a log that this region's object store keeps."""
    tenant = _log_in(request)
    if service.config.objects is None:
        return encode([])
    store = open_store(service.config.objects)
    try:
        return encode(await asyncio.to_thread(anchors.kept, store, tenant, MAX_ANCHORS))
    except ObjectStoreError as error:
        raise RequestError(
            "unavailable", "The object store does not answer; try again.", reason=str(error)
        ) from error


async def audit_proof(service: Service, request: Request) -> bytes:
    """Return what proves that an event is in its tenant's log."""
    event = request.query.get("event", "")
    segment, _, number = event.partition(".")
    if not EVENT_ID.fullmatch(event):
        raise RequestError("invalid", "event is an id that the trail shows: SEGMENT.NUMBER.")
    async with about(service.primary, CALL_TIMEOUT, EVERY) as connection:
        rows = await (await connection.execute(_SEGMENT, [segment], binary=True)).fetchall()
        if not rows or int(number) >= rows[0][3]:
            raise RequestError("not_found", "There is no such event.")
        *found, tenant = rows[0]
        request.names["log"] = tenant or NO_TENANT  # for the audit log
        if found[1] is None:
            raise RequestError("unavailable", "The event gets its place in the log in a moment; try again.")
        head = await tree.head_of(connection, tenant)
        hashes = await tree.hashes_of(connection, tenant, merkle.inclusion_ranges(found[1], head.size))
        note = await tree.checkpoint_of(connection, tenant, head.size)
    return encode(
        AuditInclusion(
            event=event, segment=_segment(found), hashes=[each.hex() for each in hashes], checkpoint=note
        )
    )  # fmt: skip


async def audit_consistency(service: Service, request: Request) -> bytes:
    """Return what proves that a log has grown out of its first leaves."""
    tenant = _log_in(request)
    async with about(service.primary, CALL_TIMEOUT, tenant or NO_TENANT) as connection:
        head = await tree.head_of(connection, tenant)
        if not head.size:
            raise RequestError("not_found", "There is no such log.")
        first = number_in(request, "first", 1, 1, head.size)
        hashes = await tree.hashes_of(connection, tenant, merkle.consistency_ranges(first, head.size))
        note = await tree.checkpoint_of(connection, tenant, head.size)
    return encode(AuditConsistency(first=first, hashes=[each.hex() for each in hashes], checkpoint=note))


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


def _log_in(request: Request) -> str:
    """Return the tenant whose log a query names, which is noted. Raises RequestError (invalid)."""
    tenant = tenant_in(request)
    if tenant is None:
        raise RequestError("invalid", f"tenant is needed; {NO_TENANT} names the log of no tenant.")
    request.names["log"] = tenant or NO_TENANT  # for the audit log
    return tenant


def _segment(row: Sequence[Any]) -> AuditSegment:
    id_, leaf, first, events, hashed, content = row
    return AuditSegment(
        id=id_, leaf=leaf, first_event=first, events=events, hash=bytes(hashed).hex(), content=content
    )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError("invalid", "since and until are times like 2026-01-31T12:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
