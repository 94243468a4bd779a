"""Adding columns to the index and removing them, compiled: posting by posting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.postings import SIZES, Postings

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]


def add(postings: Postings, columns: Ints, rows: Rows) -> None:
    """Add columns int64[m] with their rows of bits uint16[m, 40]; bitmaps are wide enough."""
    at = place = 0
    while True:
        at, place = _add(
            columns, rows, at, place, postings.counts, postings.starts, postings.classes, SIZES,
            postings.slots, postings.bitmaps, postings.arena, postings.holes, postings.used,
            postings.common_from(),
        )  # fmt: skip
        if at == columns.size:
            return
        bit = int(rows[at, place])  # whose list becomes a bitmap, or does not fit into the arena
        postings.make_room(bit, int(postings.counts[bit]) + 1)


def remove(postings: Postings, column: int, bits: Rows) -> None:
    """Remove a column from what its bits uint16[n] have."""
    _remove(
        column, np.ascontiguousarray(bits), postings.counts, postings.starts, postings.slots,
        postings.bitmaps, postings.arena,
    )  # fmt: skip


@njit(
    "boolean(int64, int32[::1], int64[::1], int8[::1], int64[::1], int32[::1], int64[::1], int64[::1])",
    cache=True, nogil=True,
)  # fmt: skip
def _move(bit, counts, starts, classes, sizes, arena, holes, used):  # type: ignore[no-untyped-def]
    """Move a full list to the next larger room; tell whether there was one."""
    old = np.int64(classes[bit])
    new = old + 1
    if holes[new]:
        start = holes[new] - 1
        holes[new] = arena[start]
    else:
        start = used[0]
        if start + sizes[new] > arena.size:
            return False
        used[0] = start + sizes[new]
    if old >= 0:
        before = starts[bit]
        arena[start : start + counts[bit]] = arena[before : before + counts[bit]]
        arena[before] = holes[old]
        holes[old] = before + 1
    starts[bit] = start
    classes[bit] = new
    return True


@njit(
    "UniTuple(int64, 2)(int64[::1], uint16[:, ::1], int64, int64, int32[::1], int64[::1], int8[::1],"
    " int64[::1], int16[::1], uint64[:, ::1], int32[::1], int64[::1], int64[::1], int64)",
    cache=True, nogil=True,
)  # fmt: skip
def _add(  # type: ignore[no-untyped-def]
    columns, rows, at, place, counts, starts, classes, sizes, slots, bitmaps, arena, holes, used, common_from
):
    """Go on from a column and a place in its row; return where a list cannot take it, or the end."""
    while at < columns.size:
        column = columns[at]
        word, mask = column >> 6, np.uint64(1) << np.uint64(column & 63)
        while place < rows.shape[1] and rows[at, place] != PAD:
            bit = np.int64(rows[at, place])
            slot = slots[bit]
            if slot >= 0:
                bitmaps[slot, word] |= mask
            else:
                if classes[bit] < 0 or counts[bit] >= sizes[classes[bit]]:
                    if counts[bit] + 1 >= common_from:
                        return at, place
                    if not _move(bit, counts, starts, classes, sizes, arena, holes, used):
                        return at, place
                arena[starts[bit] + counts[bit]] = column
            counts[bit] += 1
            place += 1
        at, place = at + 1, 0
    return at, place


@njit(
    "void(int64, uint16[::1], int32[::1], int64[::1], int16[::1], uint64[:, ::1], int32[::1])",
    cache=True, nogil=True,
)  # fmt: skip
def _remove(column, bits, counts, starts, slots, bitmaps, arena):  # type: ignore[no-untyped-def]
    word, mask = column >> 6, np.uint64(1) << np.uint64(column & 63)
    for bit in bits:
        counts[bit] -= 1
        slot = slots[bit]
        if slot >= 0:
            bitmaps[slot, word] &= ~mask
        else:
            last = starts[bit] + counts[bit]
            at = starts[bit]
            while arena[at] != column:
                at += 1
            arena[at] = arena[last]
