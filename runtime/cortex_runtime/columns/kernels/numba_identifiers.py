"""Ids looked up and entered many at a time, compiled: one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.identifiers import MIXERS, NO_ROW, Identifiers

Rows = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
_A, _B, _C = map(np.uint64, MIXERS)
_HALF = np.uint64(32)


def find(table: Identifiers, wanted: Words) -> Rows:
    """Return the rows int64[n] of ids uint64[n, 2], NO_ROW for those that are not known."""
    rows: Rows = _find(table.slots, table.words, table.shift, wanted)
    return rows


def enter(table: Identifiers, rows: Rows) -> None:
    """Put rows int64[n], whose ids stand in the table, into slots."""
    _enter(table.slots, table.words, table.shift, rows)


def first_alike(words: Words) -> Rows:
    """Return for each of ids uint64[n, 2] the first place int64[n] where the same one stands."""
    places: Rows = _first_alike(words)
    return places


def _compiled(signature: str) -> Any:
    return njit(signature, cache=True, nogil=True)


@_compiled("int64(uint64, uint64, int64)")
def _home(low, high, shift):  # type: ignore[no-untyped-def]
    mixed = low * _A
    mixed = (mixed ^ (mixed >> _HALF) ^ high) * _B
    return np.int64(((mixed ^ (mixed >> _HALF)) * _C) >> np.uint64(shift))


@_compiled("int64[::1](int32[::1], uint64[:, ::1], int64, uint64[:, ::1])")
def _find(slots, words, shift, wanted):  # type: ignore[no-untyped-def]
    count, last = wanted.shape[0], slots.size - 1
    rows = np.empty(count, dtype=np.int64)
    at = np.empty(count, dtype=np.int64)
    for place in range(count):  # what is waited for is waited for together: no look-up needs another's
        at[place] = _home(wanted[place, 0], wanted[place, 1], shift)
        rows[place] = slots[at[place]]
    for place in range(count):
        row, slot = rows[place], at[place]
        while row != NO_ROW and (words[row, 0] != wanted[place, 0] or words[row, 1] != wanted[place, 1]):
            slot = (slot + 1) & last
            row = np.int64(slots[slot])
        rows[place] = row
    return rows


@_compiled("void(int32[::1], uint64[:, ::1], int64, int64[::1])")
def _enter(slots, words, shift, rows):  # type: ignore[no-untyped-def]
    last = slots.size - 1
    for row in rows:
        slot = _home(words[row, 0], words[row, 1], shift)
        while slots[slot] != NO_ROW:
            slot = (slot + 1) & last
        slots[slot] = row


@_compiled("int64[::1](uint64[:, ::1])")
def _first_alike(words):  # type: ignore[no-untyped-def]
    count, shift = words.shape[0], 63
    while np.int64(1) << (64 - shift) < 2 * count:
        shift -= 1
    slots = np.full(np.int64(1) << (64 - shift), NO_ROW, dtype=np.int32)
    last = slots.size - 1
    places = np.empty(count, dtype=np.int64)
    for place in range(count):
        slot = _home(words[place, 0], words[place, 1], shift)
        other = np.int64(slots[slot])
        while other != NO_ROW and (words[other, 0] != words[place, 0] or words[other, 1] != words[place, 1]):
            slot = (slot + 1) & last
            other = np.int64(slots[slot])
        if other == NO_ROW:
            slots[slot] = place
        places[place] = place if other == NO_ROW else other
    return places
