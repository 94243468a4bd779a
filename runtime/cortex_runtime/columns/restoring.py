"""Making a cortex from what was stored of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.identifiers import NO_ROW, Rows
from cortex_runtime.columns.model import (
    ID_BYTES,
    INHERITS,
    MAX_ANCESTORS,
    ConceptRecord,
    RelationshipRecord,
    check_traits,
)
from cortex_runtime.columns.states import State

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


def restore(
    cortex: Cortex,
    operations: int,
    concepts: Iterable[ConceptRecord],
    relationships: Iterable[RelationshipRecord],
) -> None:
    """Fill an empty cortex. Raises ValueError when the records contradict each other."""
    records = sorted(concepts, key=lambda record: (record.operation, record.id))
    if records:
        _fill_columns(cortex, records)
        _place(cortex, records)
        if records[-1].operation > operations:
            raise ValueError(
                f"a concept is of operation {records[-1].operation}, the cortex has {operations}"
            )
    _relate(cortex, list(relationships))
    cortex.operations = operations
    _rest(cortex)


def _place(cortex: Cortex, records: list[ConceptRecord]) -> None:
    concepts = cortex.concepts
    ids = _array_of([record.id for record in records])
    rows = concepts.insert_many(ids)
    again = np.flatnonzero(concepts.rows_of(ids) != rows)
    if again.size:
        raise ValueError(f"concept {records[again[0]].id.hex()} comes twice")
    columns = np.array([record.column for record in records], dtype=np.int64)
    concepts.place_many(rows, columns, np.array([record.operation for record in records], dtype=np.int64))
    described = [index for index, record in enumerate(records) if record.tags or record.dimension]
    if described:
        _describe(cortex, rows[described], [records[index] for index in described])


def _describe(cortex: Cortex, rows: Rows, records: list[ConceptRecord]) -> None:
    for record in records:
        check_traits(record.tags, record.dimension)
    lengths = list(dict.fromkeys(record.dimension for record in records if record.dimension))
    if len(lengths) > 1:
        raise ValueError(f"vectors have {lengths[1]} and {lengths[0]} numbers")
    sizes = np.array([len(record.tags) for record in records], dtype=np.int64)
    tags = np.array([tag for record in records for tag in record.tags], dtype=np.uint64)
    dimensions = np.array([record.dimension for record in records], dtype=np.uint16)
    cortex.properties.set_many(rows, sizes, tags, dimensions)


def _relate(cortex: Cortex, edges: list[RelationshipRecord]) -> None:
    concepts, relationships = cortex.concepts, cortex.relationships
    sources = concepts.rows_of(_array_of([edge.source for edge in edges]))
    unknown = np.flatnonzero(sources == NO_ROW)
    if unknown.size:
        raise ValueError(f"a relationship is from {edges[unknown[0]].source.hex()}, which is no concept")
    ids = _array_of([edge.target for edge in edges])
    targets = concepts.insert_named(ids, concepts.name(ids))
    types = np.array([relationships.type_id(edge.type) for edge in edges], dtype=np.int64)
    weights = np.array([edge.weight for edge in edges], dtype=np.float32)
    relationships.set_many(sources, targets, types, weights)
    relationships.merge()
    parents: dict[int, int] = {}
    for edge, source, target in zip(edges, sources.tolist(), targets.tolist(), strict=True):
        if edge.type == INHERITS and parents.setdefault(source, target) != target:
            raise ValueError(f"concept {edge.source.hex()} has two parents")
    _check_ancestors(cortex, parents)


def _array_of(ids: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), ID_BYTES)


def _check_ancestors(cortex: Cortex, parents: dict[int, int]) -> None:
    nobody = cortex.concepts.columns.size
    next_of = np.full(nobody + 1, nobody, dtype=np.int64)
    next_of[list(parents)] = list(parents.values())
    at = next_of
    for _ in range(MAX_ANCESTORS):
        at = next_of[at]
    if (at != nobody).any():
        raise ValueError(f"a concept inherits from itself, or from more than {MAX_ANCESTORS}")


def _fill_columns(cortex: Cortex, records: list[ConceptRecord]) -> None:
    arrays = cortex.arrays
    columns = np.array([record.column for record in records], dtype=np.int64)
    if columns.min() < 0:
        raise ValueError("a concept is on a negative column")
    sizes = np.array([record.bits.size for record in records], dtype=np.int64)
    if sizes.min() < 1 or sizes.max() > MAX_BITS:
        raise ValueError(f"a column has 1 to {MAX_BITS} bits")
    rows = np.full((columns.size, MAX_BITS), PAD, dtype=np.uint16)
    rows[np.arange(MAX_BITS) < sizes[:, None]] = np.concatenate([record.bits for record in records])
    arrays.make_room(int(columns.max()) + 1)
    arrays.bits[columns] = rows
    arrays.words[columns] = [record.words for record in records]
    arrays.variant_of[columns] = [record.variant_of for record in records]
    if (arrays.bits[columns] != rows).any():
        raise ValueError("concepts on the same column have different bits")
    np.add.at(arrays.concepts, columns, 1)
    np.maximum.at(arrays.last_operation, columns, [record.operation for record in records])
    arrays.activation[columns] = 1
    used = np.flatnonzero(arrays.concepts)
    cortex.postings.add(used, arrays.bits[used])
    cortex.columns = used.size


def _rest(cortex: Cortex) -> None:
    """Set the states. Nobody knows which empty columns still rest, so all of them do."""
    cortex.restored_at = cortex.operations
    arrays, until = cortex.arrays, cortex.operations + cortex.settings.refractory
    used = np.flatnonzero(arrays.concepts)
    watermark = int(used[-1]) + 1 if used.size else 0
    wins = arrays.last_operation[used]
    refractory = wins + cortex.settings.refractory > cortex.operations
    arrays.states[used] = np.where(refractory, State.REFRACTORY, State.ALLOCATED)
    recent = np.stack((wins[refractory], used[refractory]), axis=1)
    cortex.recent_wins = recent[np.argsort(recent[:, 0])]
    empty = np.flatnonzero(arrays.concepts[:watermark] == 0)
    arrays.states[empty] = State.REFRACTORY
    cortex.free.begin(watermark, empty, until)
