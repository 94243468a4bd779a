"""Handlers of a tenant's rights: its cortices, all that is stored, and erasure of one subject's concepts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cortex_runtime.changelog.entries import ConceptEntry
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.formats.messages import (
    CortexSummary,
    EraseOperation,
    ErasurePage,
    ErasureRequest,
    ExportedConcept,
    ExportPage,
    Relationship,
    encode,
)
from cortex_runtime.server.changing import CALL_TIMEOUT
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.requests import parse_cursor

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

EXPORTED_AT_ONCE = 200
LOOKED_AT_AT_ONCE = 1_000


async def list_cortices(service: Service, request: Request) -> bytes:
    """Return a tenant's cortices."""
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        cursor = await connection.execute(
            "select name, concepts, columns, bytes from cortex where tenant = %s order by name",
            [request.names["tenant"]],
        )
        rows = await cursor.fetchall()
    names = CortexSummary.__struct_fields__
    return encode([CortexSummary(**dict(zip(names, row, strict=True))) for row in rows])


async def export(service: Service, request: Request) -> bytes:
    """Return concepts with all that is stored of them, by record id.

    What is written meanwhile may be among them or not; what stays from before the first page to after the
    last is.
    """
    tenant, cortex = request.names["tenant"], request.names["cortex"]
    slot = await service.read_slot(request, None)
    if isinstance(slot, bytes):
        return slot
    source, after = service.source(slot), parse_cursor(request.query.get("after"))
    page = await service.contents.page(source, slot, tenant, cortex, after, EXPORTED_AT_ONCE)
    concepts = []
    for record, entry in page.entries:
        edges = await service.contents.relationships(source, slot, tenant, record)
        concepts.append(
            _exported(entry, [Relationship(type=e.type, target=e.target, weight=e.weight) for e in edges])
        )
    return encode(ExportPage(concepts=concepts, after=page.after.hex() if page.after else None))


async def erase(service: Service, request: Request) -> bytes:
    """Erase the concepts of one subject among the next thousand: their rows go, tombstones stay."""
    wanted = request.decode(ErasureRequest)
    tenant, cortex = request.names["tenant"], request.names["cortex"]
    number = slot_of(tenant, cortex)
    if number not in service.replica.owners:
        nobody = RequestError("unavailable", "The owner of this cortex does not answer; try again.")
        return await service.ask_owner(request, number, nobody)
    slot, after = service.replica.slots[number], parse_cursor(wanted.after)
    page = await service.contents.page(service.primary, slot, tenant, cortex, after, LOOKED_AT_AT_ONCE)
    theirs = [
        EraseOperation(id=entry.id)
        for _, entry in page.entries
        if (value := entry.properties.get(wanted.property)) == wanted.subject
        and type(value) is type(wanted.subject)
    ]
    if theirs:
        # A key of its own: repeated, the request may find other concepts than before.
        await service.write(replace(request, idempotency_key=None), theirs)
    return encode(ErasurePage(erased=len(theirs), after=page.after.hex() if page.after else None))


def _exported(entry: ConceptEntry, relationships: list[Relationship]) -> ExportedConcept:
    bits = np.frombuffer(entry.bits, dtype="<u2").tolist() if entry.dimension else None
    return ExportedConcept(
        id=entry.id, text=entry.text, properties=entry.properties, relationships=relationships,
        dimension=entry.dimension, bits=bits,
    )  # fmt: skip
