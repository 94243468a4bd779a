"""Handlers of a tenant's own data: concepts, relationships, batches, queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from cortex_runtime.changelog.database import Database
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.columns import Cortex, DimensionError, Encoding, Wanted
from cortex_runtime.columns import Match as ColumnMatch
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
from cortex_runtime.server.contents import Stored, check_size
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.inheritance import effective

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
    """Return one concept with its relationships and what it inherits."""
    slot = await service.read_slot(request, request.position)
    if isinstance(slot, bytes):
        return slot
    tenant, cortex, name = (request.names[key] for key in ("tenant", "cortex", "concept"))
    record = service.directory.record_id(tenant, cortex, name)
    columns, source = slot.cortex(tenant, cortex), service.source(slot)
    lineage, column = columns.ancestors_of(record), columns.column_of(record)
    stored = await service.contents.concepts(source, slot, tenant, [record, *lineage])
    if record not in stored:
        # The owner may have what was put a moment ago.
        return await service.ask_owner(request, slot.number, _no_concept())
    entry, key_version, _ = stored[record]
    ancestors = [stored[each].entry for each in lineage if each in stored]
    has = effective(entry, ancestors)
    edges = await service.contents.relationships(source, slot, tenant, record)
    return encode(
        Concept(
            id=entry.id, text=entry.text, properties=has.properties, column=entry.column,
            relationships=[Relationship(type=e.type, target=e.target, weight=e.weight) for e in edges],
            key_version=key_version, own_properties=entry.properties, inherited=has.inherited,
            ancestors=[ancestor.id for ancestor in ancestors], dimension=entry.dimension,
            activation=0.0 if column is None else columns.activation_of(column),
        )
    )  # fmt: skip


async def query(service: Service, request: Request) -> bytes:
    """Find concepts by text or vector, or near a stored one."""
    asked = request.decode(QueryRequest)
    slot = await service.read_slot(request, asked.position or request.position)
    if isinstance(slot, bytes):
        return slot
    tenant, name = request.names["tenant"], request.names["cortex"]
    source = service.source(slot)
    encoding = await _encoding(service, source, slot, request, asked)
    cortex, wanted = slot.cortex(tenant, name), Wanted(asked.where)
    _check_dimension(cortex, encoding)
    result = cortex.query(
        encoding, asked.k, hops=asked.hops, decay=asked.decay, where=wanted.where, budget=asked.budget,
        exact=asked.exact,
    )  # fmt: skip
    position = service.position(slot)
    # A column may have several concepts; they stand beside each other.
    found = [(match, record) for match in result.matches for record in match.ids]
    found = found[: 2 * asked.k if asked.hops else asked.k]
    lineages = {record: cortex.ancestors_of(record) for _, record in found}
    records = {*lineages, *(r for line in lineages.values() for r in line)}
    records.update(r for match, _ in found for r in _on_path(match))
    stored = await service.contents.concepts(source, slot, tenant, records)
    check_size(stored[r] for record, line in lineages.items() for r in (record, *line) if r in stored)
    matches = [_match(match, record, lineages[record], stored) for match, record in found if record in stored]
    # What has the same hashes may have other values.
    held = [match for match in matches if wanted.held_by(match.properties)]
    return encode(QueryResponse(matches=held, capped=result.capped, cost=result.cost, position=position))


async def _encoding(
    service: Service, source: Database, slot: Slot, request: Request, asked: QueryRequest
) -> Encoding:
    """Return what to look for. Of a stored concept that came from a vector it is its column's bits."""
    if asked.text is not None:
        return service.encoder.encode(asked.text)
    if asked.vector is not None:
        return service.encoder.encode_vector(asked.vector)
    tenant, cortex = request.names["tenant"], request.names["cortex"]
    record = service.directory.record_id(tenant, cortex, asked.concept or "")
    stored = (await service.contents.concepts(source, slot, tenant, [record])).get(record)
    if stored is None:
        raise _no_concept()
    entry = stored.entry
    if entry.dimension:
        bits = np.frombuffer(entry.bits, dtype="<u2").astype(np.uint16)
        return Encoding(bits, entry.words, entry.dimension)
    return service.encoder.encode(entry.text or "")


def _check_dimension(cortex: Cortex, encoding: Encoding) -> None:
    """Raise DimensionError when a query's vector is of another length than those of the concepts."""
    known = cortex.properties.dimension
    if encoding.dimension and known and encoding.dimension != known:
        raise DimensionError(
            f"The query's vector has {encoding.dimension} numbers, those of the concepts have {known}."
        )


def _on_path(match: ColumnMatch) -> set[bytes]:
    return {record for step in match.path for record in (step.source, step.target)}


def _match(
    match: ColumnMatch, record: bytes, lineage: tuple[bytes, ...], stored: dict[bytes, Stored]
) -> Match:
    entry = stored[record].entry
    has = effective(entry, (stored[each].entry for each in lineage if each in stored))
    return Match(
        id=entry.id, text=entry.text, properties=has.properties, own_properties=entry.properties,
        inherited=has.inherited, column=match.column, overlap=match.overlap, activation=match.activation,
        path=[
            Step(source=stored[step.source].entry.id, type=step.type, target=stored[step.target].entry.id)
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
