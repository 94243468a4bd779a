"""Handlers of a tenant's own data: concepts, relationships, batches, queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cortex_runtime.changelog.database import Database
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.columns import Match as ColumnMatch
from cortex_runtime.columns import NothingToEncodeError
from cortex_runtime.formats.messages import (
    BatchRequest,
    BatchResponse,
    Concept,
    ConceptBody,
    DeleteOperation,
    Match,
    PutOperation,
    QueryRequest,
    QueryResponse,
    RelateOperation,
    Relationship,
    Step,
    UnrelateOperation,
    encode,
)
from cortex_runtime.server.contents import Stored
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service


async def put_concept(service: Service, request: Request) -> bytes:
    """Put one concept."""
    body = request.decode(ConceptBody)
    put = PutOperation(id=request.names["concept"], **msgspec.structs.asdict(body))
    return await service.write(request, [put])


async def delete_concept(service: Service, request: Request) -> bytes:
    """Delete one concept."""
    answer = await service.write(request, [DeleteOperation(id=request.names["concept"])])
    return _found(answer)


async def relate(service: Service, request: Request) -> bytes:
    """Add a relationship, or set its weight."""
    return await service.write(request, [request.decode(RelateOperation)])


async def unrelate(service: Service, request: Request) -> bytes:
    """Remove a relationship."""
    return _found(await service.write(request, [request.decode(UnrelateOperation)]))


async def batch(service: Service, request: Request) -> bytes:
    """Apply operations, all or none."""
    return await service.write(request, request.decode(BatchRequest).operations)


async def get_concept(service: Service, request: Request) -> bytes:
    """Return one concept with its relationships."""
    slot = await service.read_slot(request, request.position)
    if isinstance(slot, bytes):
        return slot
    tenant, cortex, name = (request.names[key] for key in ("tenant", "cortex", "concept"))
    record = service.directory.record_id(tenant, cortex, name)
    source = service.source(slot)
    stored = (await service.contents.concepts(source, slot, tenant, [record])).get(record)
    if stored is None:
        # The owner may have what was put a moment ago.
        return await service.ask_owner(request, slot.number, _no_concept())
    entry, key_version = stored
    edges = await service.contents.relationships(source, slot, tenant, record)
    return encode(
        Concept(
            id=entry.id, text=entry.text, properties=entry.properties, column=entry.column,
            relationships=[Relationship(type=e.type, target=e.target, weight=e.weight) for e in edges],
            key_version=key_version,
        )
    )  # fmt: skip


async def query(service: Service, request: Request) -> bytes:
    """Find concepts by text, or near a stored one."""
    wanted = request.decode(QueryRequest)
    if (wanted.text is None) == (wanted.concept is None):
        raise RequestError("invalid", "A query has either text or concept.")
    slot = await service.read_slot(request, wanted.position)
    if isinstance(slot, bytes):
        return slot
    tenant, name = request.names["tenant"], request.names["cortex"]
    source = service.source(slot)
    text = wanted.text or await _text_of(service, source, slot, tenant, name, wanted.concept or "")
    try:
        encoding = service.encoder.encode(text)
    except NothingToEncodeError as error:
        raise RequestError("invalid", f"The text cannot be encoded: {error}.") from error
    result = slot.cortex(tenant, name).query(
        encoding, wanted.k, hops=wanted.hops, decay=wanted.decay, exact=False
    )
    position = service.position(slot)
    # A column may have several concepts; they stand beside each other.
    found = [(match, record) for match in result.matches for record in match.ids]
    found = found[: 2 * wanted.k if wanted.hops else wanted.k]
    records = {record for match, record in found} | {r for match, _ in found for r in _on_path(match)}
    stored = await service.contents.concepts(source, slot, tenant, records)
    matches = [_match(match, record, stored) for match, record in found if record in stored]
    return encode(QueryResponse(matches=matches, capped=result.capped, position=position))


async def _text_of(
    service: Service, source: Database, slot: Slot, tenant: str, cortex: str, concept: str
) -> str:
    record = service.directory.record_id(tenant, cortex, concept)
    stored = (await service.contents.concepts(source, slot, tenant, [record])).get(record)
    if stored is None:
        raise _no_concept()
    return stored[0].text


def _on_path(match: ColumnMatch) -> set[bytes]:
    return {record for step in match.path for record in (step.source, step.target)}


def _match(match: ColumnMatch, record: bytes, stored: dict[bytes, Stored]) -> Match:
    entry = stored[record][0]
    return Match(
        id=entry.id, text=entry.text, properties=entry.properties, column=match.column,
        overlap=match.overlap, activation=match.activation,
        path=[
            Step(source=stored[step.source][0].id, type=step.type, target=stored[step.target][0].id)
            for step in match.path
            if step.source in stored and step.target in stored
        ],
    )  # fmt: skip


def _found(answer: bytes) -> bytes:
    if msgspec.json.decode(answer, type=BatchResponse).results[0].outcome == "absent":
        raise RequestError("not_found", "There is no such concept or relationship.")
    return answer


def _no_concept() -> RequestError:
    return RequestError("not_found", "There is no such concept.")
