"""Adding columns to the index and removing them, in numpy: whole batches, ordered by their bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.postings import NOT_MAPPED, SIZES, Postings

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]


def add(postings: Postings, columns: Ints, rows: Rows) -> None:
    """Add columns int64[m] with their rows of bits uint16[m, 40]; bitmaps are wide enough."""
    if columns.size == 1:
        _add_one(postings, columns.item(0), rows[0])
        return
    present = rows != PAD
    bits = rows[present]
    owners = np.repeat(columns, present.sum(axis=1))
    order = np.argsort(bits, kind="stable")
    bits, owners = bits[order], owners[order]
    first = np.flatnonzero(np.diff(bits, prepend=PAD))
    lengths = np.diff(first, append=bits.size)
    distinct = bits[first].astype(np.int64)
    _make_room(postings, distinct, lengths)
    mapped = postings.slots[distinct] >= 0
    if mapped.any():
        each = np.repeat(mapped, lengths)
        _set(postings, bits[each], owners[each])
    ranks = np.arange(bits.size) - np.repeat(first, lengths)
    places = np.repeat(postings.starts[distinct] + postings.counts[distinct], lengths) + ranks
    listed = np.repeat(~mapped, lengths)
    postings.arena[places[listed]] = owners[listed]
    postings.counts[distinct] += lengths.astype(np.int32)


def _add_one(postings: Postings, column: int, row: Rows) -> None:
    bits = row[row != PAD].astype(np.int64)
    _make_room(postings, bits, np.ones_like(bits))
    slots = postings.slots[bits]
    mapped = slots >= 0
    postings.bitmaps[slots[mapped], column >> 6] |= np.uint64(1 << (column & 63))
    listed = bits[~mapped]
    postings.arena[postings.starts[listed] + postings.counts[listed]] = column
    postings.counts[bits] += 1


def remove(postings: Postings, column: int, bits: Rows) -> None:
    """Remove a column from what its bits uint16[n] have."""
    word, mask = column >> 6, np.uint64(1 << (column & 63))
    for bit in bits.tolist():
        if (slot := postings.slots.item(bit)) >= 0:
            postings.bitmaps[slot, word] &= ~mask
        else:
            entries = postings.list_of(bit)
            entries[np.flatnonzero(entries == column)[0]] = entries[-1]
        postings.counts[bit] -= 1


def _make_room(postings: Postings, bits: Ints, more: Ints) -> None:
    wanted = postings.counts[bits] + more
    held = postings.classes[bits].astype(np.int64)
    short = (postings.slots[bits] == NOT_MAPPED) & ((held < 0) | (wanted > SIZES[held]))
    for bit, count in zip(bits[short].tolist(), wanted[short].tolist(), strict=True):
        postings.make_room(bit, count)


def _set(postings: Postings, bits: Rows, columns: Ints) -> None:
    """Set columns in the bitmaps of bits: none is set yet, so that adding is the same as setting."""
    bitmaps: npt.NDArray[Any] = postings.bitmaps.reshape(-1)
    places = postings.slots[bits].astype(np.int64) * postings.bitmaps.shape[1] + (columns >> 6)
    np.add.at(bitmaps, places, np.left_shift(np.uint64(1), (columns & 63).astype(np.uint64)))
