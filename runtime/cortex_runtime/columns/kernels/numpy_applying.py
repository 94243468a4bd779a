"""Checking and storing placings by numpy: ordered by concept, and by column, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.arrays import HALF_LIFE, HALVES, ColumnArrays
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Kind
from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.following import Placings, homes_of

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_TAKE, _JOIN = int(Kind.TAKE), int(Kind.JOIN)


def first_impossible(cortex: Cortex, placings: Placings) -> int:
    """Return the place of the first placing that does not follow on what is before it, -1 none."""
    arriving = placings.kinds <= _JOIN
    at = _where_they_are(cortex, placings, arriving)
    possible = at == np.where(arriving, NOWHERE, placings.columns)
    possible &= _columns_allow_it(cortex, placings, arriving)
    return -1 if possible.all() else int(possible.argmin())


def _where_they_are(cortex: Cortex, placings: Placings, arriving: Flags) -> Ints:
    """Return the column int64[n] on which each concept is before its placing, NOWHERE when on none."""
    at = homes_of(cortex, placings.concepts)
    order = np.argsort(placings.concepts, kind="stable")
    ordered = placings.concepts[order]
    again = ordered[1:] == ordered[:-1]
    if again.any():
        before = order[:-1][again]
        at[order[1:][again]] = np.where(arriving[before], placings.columns[before], NOWHERE)
    return at


def _columns_allow_it(cortex: Cortex, placings: Placings, arriving: Flags) -> Flags:
    """Tell of each whether its column is empty and has rested, for a TAKE, or has concepts, for others."""
    order = np.argsort(placings.columns, kind="stable")
    columns, arrives = placings.columns[order], arriving[order]
    first = np.append(True, columns[1:] != columns[:-1])
    change = np.where(arrives, 1, -1)
    before = np.cumsum(change) - change
    held = _of(cortex.arrays.concepts, columns) + before - before[first][np.cumsum(first) - 1]
    won = _of(cortex.arrays.last_operation, columns)
    operations = placings.operations[order]
    if not arrives.all():
        won = _with_wins(won, np.where(arrives, operations, 0), first)
    rests = (won > max(cortex.restored_at, 0)) & (won + cortex.settings.refractory >= operations)
    allowed = np.empty(order.size, dtype=np.bool_)
    allowed[order] = np.where(placings.kinds[order] == _TAKE, (held == 0) & ~rests, held > 0)
    return allowed


def _with_wins(won: Ints, wins: Ints, first: Flags) -> Ints:
    """Return the last win int64[n] of its column before each of events, in the batch or else the known one.

    wins: of each event, 0 none. first: of its column. Both are ordered by column, then by time.
    """
    earlier = np.append(0, wins[:-1])
    earlier[first] = 0
    places = np.where((earlier > 0) | first, np.arange(won.size), 0)
    latest = np.maximum.accumulate(places)  # no column begins after its own first event
    return np.where(earlier[latest] > 0, earlier[latest], won)


def _of(array: npt.NDArray[np.integer[Any]], columns: Ints) -> Ints:
    """Return what an array has for columns int64[n], 0 for those beyond it."""
    values = np.zeros(columns.size, dtype=np.int64)
    known = columns < array.size
    values[known] = array[columns[known]]
    return values


def store(cortex: Cortex, arrivals: Placings) -> None:
    """Store TAKEs and JOINs in the columns' arrays, but for their states, and in those of concepts."""
    arrays, columns = cortex.arrays, arrivals.columns
    taken = np.flatnonzero(arrivals.kinds == _TAKE)
    takes = columns[taken]
    sizes = arrivals.sizes[taken].astype(np.int64)
    rows = np.full((taken.size, MAX_BITS), PAD, dtype=np.uint16)
    rows[np.arange(MAX_BITS) < sizes[:, None]] = arrivals.bits
    arrays.bits[takes] = rows
    arrays.words[takes], arrays.variant_of[takes] = arrivals.words[taken], arrivals.variant_of[taken]
    for start, end in _spans(arrivals.operations):
        _activate(arrays, columns[start:end], arrivals.operations[start:end])
    np.add.at(arrays.concepts, columns, np.int32(1))
    cortex.concepts.place_many(arrivals.concepts, columns, arrivals.operations)


def _spans(operations: Ints) -> list[tuple[int, int]]:
    """Cut ascending operations int64[n] so that between two of a part nothing is halved."""
    if not operations.size or operations[-1] - operations[0] < HALF_LIFE:
        return [(0, operations.size)]
    parts = (operations - operations[0]) // HALF_LIFE
    starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], operations.size], strict=True))


def _activate(arrays: ColumnArrays, columns: Ints, operations: Ints) -> None:
    """Halve what is left of the activation of columns, add 1 for each win, and remember the last ones."""
    halvings = (operations - arrays.last_operation[columns]) // HALF_LIFE
    repeated = arrays.activation[columns] * HALVES[np.minimum(halvings, HALVES.size - 1)]
    # Of a column that wins more than once here the first win halves; numpy keeps what is assigned last.
    arrays.activation[columns[::-1]] = repeated[::-1]
    np.add.at(arrays.activation, columns, np.float32(1))
    arrays.last_operation[columns] = operations
