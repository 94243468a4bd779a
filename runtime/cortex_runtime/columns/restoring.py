"""Making a cortex from what was stored of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.model import (
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
        for record in records:
            if record.id in cortex.concepts.rows:
                raise ValueError(f"concept {record.id.hex()} comes twice")
            row = cortex.concepts.row_of(record.id)
            cortex.concepts.place(row, record.column, record.operation)
            _describe(cortex, row, record)
        if records[-1].operation > operations:
            raise ValueError(
                f"a concept is of operation {records[-1].operation}, the cortex has {operations}"
            )
    _relate(cortex, relationships)
    cortex.operations = operations
    _rest(cortex)


def _describe(cortex: Cortex, row: int, record: ConceptRecord) -> None:
    if record.tags or record.dimension:
        check_traits(record.tags, record.dimension)
        properties = cortex.properties
        if record.dimension and properties.vectors and record.dimension != properties.dimension:
            raise ValueError(f"vectors have {record.dimension} and {properties.dimension} numbers")
        properties.set(row, np.array(record.tags, dtype=np.uint64), record.dimension)


def _relate(cortex: Cortex, relationships: Iterable[RelationshipRecord]) -> None:
    parents: dict[int, int] = {}
    for edge in relationships:
        if cortex.concepts.column_of(edge.source) is None:
            raise ValueError(f"a relationship is from {edge.source.hex()}, which is no concept")
        rows = cortex.concepts.row_of(edge.source), cortex.concepts.row_of(edge.target)
        cortex.relationships.set(
            *rows, cortex.relationships.type_id(edge.type), float(np.float32(edge.weight))
        )
        if edge.type == INHERITS and parents.setdefault(*rows) != rows[1]:
            raise ValueError(f"concept {edge.source.hex()} has two parents")
    _check_ancestors(cortex, parents)


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
    used = np.unique(columns)
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
    cortex.recent_wins = list(zip(wins[refractory].tolist(), used[refractory].tolist(), strict=True))
    empty = np.setdiff1d(np.arange(watermark), used)
    arrays.states[empty] = State.REFRACTORY
    cortex.free.restore(watermark, empty.tolist(), until)
