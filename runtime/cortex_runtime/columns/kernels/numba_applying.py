"""Checking and storing placings, compiled: one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.arrays import HALF_LIFE, HALVES
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Kind
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.following import Placings

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Ints = npt.NDArray[np.int64]
_TAKE, _JOIN = int(Kind.TAKE), int(Kind.JOIN)
_NOBODY = np.iinfo(np.int64).min  # neither a name nor a column
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_LAST_HALF = HALVES.size - 1


def first_impossible(cortex: Cortex, placings: Placings) -> int:
    """Return the place of the first placing that does not follow on what is before it, -1 none."""
    arrays = cortex.arrays
    place: int = _first_impossible(
        placings.kinds, placings.columns, placings.operations, placings.concepts, cortex.concepts.columns,
        arrays.concepts, arrays.last_operation, max(cortex.restored_at, 0), cortex.settings.refractory,
    )  # fmt: skip
    return place


def store(cortex: Cortex, arrivals: Placings) -> None:
    """Store TAKEs and JOINs in the columns' arrays, but for their states, and in those of concepts."""
    arrays, concepts = cortex.arrays, cortex.concepts
    _store(
        arrivals.kinds, arrivals.columns, arrivals.operations, arrivals.concepts, arrivals.words,
        arrivals.variant_of, arrivals.sizes, arrivals.bits, arrays.bits, arrays.words, arrays.variant_of,
        arrays.concepts, arrays.last_operation, arrays.activation, HALVES, concepts.columns,
        concepts.operations, concepts.before, concepts.after, concepts.first,
    )  # fmt: skip
    concepts.placed += arrivals.kinds.size


def _compiled(signature: str) -> Any:
    return njit(signature, cache=True, nogil=True)


@_compiled("int64(int64[::1], int64)")
def _slot_of(keys, key):  # type: ignore[no-untyped-def]
    """Return the slot of a batch's own hash table in which a key is, or would be."""
    last = keys.size - 1
    slot = np.int64((np.uint64(key) * _MIXER) >> np.uint64(32)) & last
    while keys[slot] != key and keys[slot] != _NOBODY:
        slot = (slot + 1) & last
    return slot


@_compiled(
    "int64(uint8[::1], int64[::1], int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64, int64)"
)
def _first_impossible(  # type: ignore[no-untyped-def]
    kinds, columns, operations, names, homes, concepts, last_operation, restored_at, refractory
):
    size = 8
    while size < 2 * kinds.size:
        size *= 2
    known_names = np.full(size, _NOBODY, dtype=np.int64)
    known_columns = np.full(size, _NOBODY, dtype=np.int64)
    at = np.empty(size, dtype=np.int64)
    held = np.empty(size, dtype=np.int64)
    won = np.empty(size, dtype=np.int64)
    for place in range(kinds.size):
        kind, column, operation, name = kinds[place], columns[place], operations[place], names[place]
        whom = _slot_of(known_names, name)
        if known_names[whom] == _NOBODY:
            known_names[whom] = name
            at[whom] = homes[name] if name >= 0 else NOWHERE
        slot = _slot_of(known_columns, column)
        if known_columns[slot] == _NOBODY:
            known_columns[slot] = column
            held[slot] = concepts[column] if column < concepts.size else 0
            won[slot] = last_operation[column] if column < last_operation.size else 0
        if kind > _JOIN:
            if at[whom] != column or held[slot] < 1:
                return place
            at[whom] = NOWHERE
            held[slot] -= 1
            continue
        rests = won[slot] > restored_at and won[slot] + refractory >= operation
        if at[whom] != NOWHERE or (held[slot] < 1 if kind == _JOIN else held[slot] > 0 or rests):
            return place
        at[whom] = column
        held[slot] += 1
        won[slot] = operation
    return -1


@_compiled(
    "void(uint8[::1], int64[::1], int64[::1], int64[::1], uint8[::1], int32[::1], uint8[::1], uint16[::1],"
    " uint16[:, ::1], uint8[::1], int32[::1], int32[::1], int64[::1], float32[::1], float32[::1],"
    " int32[::1], int64[::1], int32[::1], int32[::1], int32[::1])"
)
def _store(  # type: ignore[no-untyped-def]
    kinds, columns, operations, rows, words, variant_of, sizes, bits,
    all_bits, all_words, all_variants, concepts, last_operation, activation, halves,
    homes, arrived, before, after, first,
):  # fmt: skip
    start = np.int64(0)
    for place in range(kinds.size):
        column, operation, row = columns[place], operations[place], rows[place]
        if kinds[place] == _TAKE:
            end = start + np.int64(sizes[place])
            all_bits[column, : end - start] = bits[start:end]
            all_bits[column, end - start :] = PAD
            start = end
            all_words[column] = words[place]
            all_variants[column] = variant_of[place]
        halvings = min((operation - last_operation[column]) // HALF_LIFE, _LAST_HALF)
        activation[column] = activation[column] * halves[halvings] + np.float32(1)
        last_operation[column] = operation
        concepts[column] += 1
        homes[row], arrived[row] = column, operation
        head = first[column]
        before[row], after[row] = -1, head
        if head >= 0:
            before[head] = row
        first[column] = row
