"""Ids looked up and entered many at a time, by numpy: all try one slot at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.identifiers import MIXERS, NO_ROW, Identifiers

Rows = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
_A, _B, _C = map(np.uint64, MIXERS)
_FEW = 48  # ids that are looked up sooner one by one
_LAST = 12  # of many ids, those that are left when most are done
_AHEAD = np.arange(6)  # slots looked at together: most searches end there


def find(table: Identifiers, wanted: Words) -> Rows:
    """Return the rows int64[n] of ids uint64[n, 2], NO_ROW for those that are not known."""
    if wanted.shape[0] <= _FEW:
        return np.array([table.row_of(each.tobytes()) for each in wanted], dtype=np.int64)
    found = np.full(wanted.shape[0], NO_ROW, dtype=np.int64)
    if not len(table):
        return found
    left, slots, last = np.arange(found.size), homes(table, wanted), table.slots.size - 1
    low, high = table.words[:, 0], table.words[:, 1]
    while left.size > _LAST:
        seen = table.slots[slots[:, None] + _AHEAD & last]
        ends = (low[seen] == wanted[left, :1]) & (high[seen] == wanted[left, 1:]) | (seen == NO_ROW)
        first = ends.argmax(axis=1)
        rows, ended = seen[np.arange(first.size), first], ends[np.arange(first.size), first]
        found[left] = rows  # of those that go on, it is found later
        left, slots = left[~ended], slots[~ended] + _AHEAD.size
    for place in left.tolist():
        found[place] = table.row_of(wanted[place].tobytes())
    return found


def enter(table: Identifiers, rows: Rows) -> None:
    """Put rows int64[n], whose ids stand in the table, into slots: of those that meet the last stays."""
    slots, last = homes(table, table.words[rows]), table.slots.size - 1
    while rows.size > _LAST:
        free = table.slots[slots] == NO_ROW
        table.slots[slots[free]] = rows[free]
        left = table.slots[slots] != rows
        rows, slots = rows[left], slots[left] + 1 & last
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        while table.slots.item(slot) != NO_ROW:
            slot = slot + 1 & last  # noqa: PLW2901
        table.slots[slot] = row


def first_alike(words: Words) -> Rows:
    """Return for each of ids uint64[n, 2] the first place int64[n] where the same one stands."""
    order = np.argsort(words[:, 0], kind="stable")
    halves = words[order, 0]
    if (halves[1:] != halves[:-1]).all():
        return np.arange(order.size)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    begins = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    places = np.empty(order.size, dtype=np.int64)
    places[order] = order[begins][np.cumsum(begins) - 1]
    return places


def homes(table: Identifiers, words: Words) -> Rows:
    """Return the slots int64[n] that the hashes of ids uint64[n, 2] name."""
    mixed = words[:, 0] * _A
    mixed = (mixed ^ mixed >> np.uint64(32) ^ words[:, 1]) * _B
    mixed = (mixed ^ mixed >> np.uint64(32)) * _C
    return (mixed >> np.uint64(table.shift)).astype(np.int64)
