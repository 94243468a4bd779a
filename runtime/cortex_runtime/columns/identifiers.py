"""Which row each id is in: a hash table, and the rows that can be used again."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.kernels import Kernels, chosen
from cortex_runtime.columns.model import ID_BYTES

Rows = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint8]
NO_ROW = -1
_HALVES = struct.Struct("=QQ")
_FIRST_SLOTS = 1 << 9
_FULLEST = 0.6  # of the slots: beyond it, runs of taken ones get long
_ALL = (1 << 64) - 1
# Odd, their bits at random: two of MurmurHash3's finalizer, and the golden ratio's (Knuth, TAOCP 3, 6.4).
MIXERS = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0x9E3779B97F4A7C15


class Identifiers:
    """Rows by id: open addressing with linear probing; nothing is left of what is discarded.

    ids uint8[M, 16], zeros in rows that are not used; words uint64[M, 2], the same memory. slots int32[a
    power of two], NO_ROW where free: an id's row is in the first slot, from the one its hash names, that no
    other row is in (which it is depends on the order in which they came, and on the kernels). `shift`: of a
    hash so many bits are left out, the rest names a slot. Ids are keyed hashes, so that nobody can choose
    ones that meet; they are mixed all the same: any pattern spreads.
    """

    def __init__(self, kernels: Kernels | None = None) -> None:
        self._kernels = (kernels or chosen()).identifiers
        self.ids: Ids = np.zeros((0, ID_BYTES), dtype=np.uint8)
        self.words = self.ids.view(np.uint64)
        self._use(np.full(_FIRST_SLOTS, NO_ROW, dtype=np.int32))
        self._unused = np.zeros(0, dtype=np.int32)  # a stack of `_unused_count`
        self._unused_count = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._unused_count

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        return self.ids.nbytes + self.slots.nbytes + self._unused.nbytes

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        return {"ids": self.ids[: self._end], "slots": self.slots, "unused": self.unused_rows()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.ids, self._unused = state["ids"], state["unused"]
        self.words = self.ids.view(np.uint64)
        self._use(state["slots"])
        self._unused_count, self._end = self._unused.size, self.ids.shape[0]

    def row_of(self, identifier: bytes) -> int:
        """Return the row of an id, NO_ROW when it is not known."""
        return self.slots.item(self._slot_of(identifier))

    def rows_of(self, ids: Ids) -> Rows:
        """Return the rows int64[n] of ids uint8[n, 16], NO_ROW for those that are not known."""
        return self._kernels.find(self, _words_of(ids))

    def name(self, ids: Ids) -> Rows:
        """Return a number int64[n] for each of ids uint8[n, 16]: the same for the same id, of others another.

        It is its row, or -2 - the first place where it stands here when it is not known.
        """
        words = _words_of(ids)
        names = self._kernels.find(self, words)
        (new,) = (names == NO_ROW).nonzero()
        if new.size == names.size:
            return -2 - self._kernels.first_alike(words)
        if new.size:
            names[new] = -2 - new[self._kernels.first_alike(words[new])]
        return names

    def insert(self, identifier: bytes) -> int:
        """Return the row of an id, a new one when it is not known."""
        self._make_slots(1)
        slot = self._slot_of(identifier)
        row = self.slots.item(slot)
        if row == NO_ROW:
            row = self.slots[slot] = self._new_row()
            self.ids[row] = np.frombuffer(identifier, dtype=np.uint8)
        return row

    def insert_many(self, ids: Ids) -> Rows:
        """Return new rows int64[n] for ids uint8[n, 16] that are distinct, and none of them known."""
        self._make_slots(ids.shape[0])
        rows = self._new_rows(ids.shape[0])
        self.ids[rows] = ids
        self._kernels.enter(self, rows)
        return rows

    def insert_named(self, ids: Ids, names: Rows) -> Rows:
        """Return the rows int64[n] of ids uint8[n, 16] with names: new ones, in their order, if need be."""
        (first,) = (names == -2 - np.arange(names.size)).nonzero()
        if first.size == names.size:
            return self.insert_many(ids)
        if not first.size:
            return names
        new = np.empty(names.size, dtype=np.int64)
        new[first] = self.insert_many(ids[first])
        known = names >= 0
        return np.where(known, names, new[np.where(known, 0, -2 - names)])

    def discard(self, row: int) -> None:
        """Forget the id in a row. What is behind it moves up (Knuth, TAOCP 3, 6.4, algorithm R)."""
        slots, mask = self.slots, self.slots.size - 1
        hole = self._slot_of(self.ids[row].tobytes())
        slot = hole + 1 & mask
        while (other := slots.item(slot)) != NO_ROW:
            home = self._home(self.words.item(other, 0), self.words.item(other, 1))
            if (slot - home & mask) >= (slot - hole & mask):
                slots[hole] = other
                hole = slot
            slot = slot + 1 & mask
        slots[hole] = NO_ROW
        self.ids[row] = 0
        self._unused = grown(self._unused, self._unused_count + 1)
        self._unused[self._unused_count] = row
        self._unused_count += 1

    def known_rows(self) -> Rows:
        """Return the rows int64[n] that have an id, ascending."""
        known = np.ones(self._end, dtype=np.bool_)
        known[self.unused_rows()] = False
        return np.flatnonzero(known)

    def unused_rows(self) -> npt.NDArray[np.int32]:
        """Return the rows that had an id and have none; the one used next is the last."""
        return self._unused[: self._unused_count]

    def _make_room(self, size: int) -> None:
        self.ids = grown(self.ids, size)
        self.words = self.ids.view(np.uint64)

    def _new_row(self) -> int:
        if self._unused_count:
            self._unused_count -= 1
            return self._unused.item(self._unused_count)
        self._end += 1
        self._make_room(self._end)
        return self._end - 1

    def _new_rows(self, count: int) -> Rows:
        left = max(0, self._unused_count - count)
        again = self._unused[left : self._unused_count][::-1]
        new = np.arange(self._end, self._end + count - again.size)
        self._unused_count, self._end = left, self._end + new.size
        self._make_room(self._end)
        return np.concatenate((again, new), dtype=np.int64)

    def _make_slots(self, more: int) -> None:
        """Double the slots until so many more ids fit, and enter all rows anew."""
        size = self.slots.size
        while len(self) + more > _FULLEST * size:
            size *= 2
        if size > self.slots.size:
            rows = self.slots[self.slots != NO_ROW].astype(np.int64)
            self._use(np.full(size, NO_ROW, dtype=np.int32))
            self._kernels.enter(self, rows)

    def _use(self, slots: npt.NDArray[np.int32]) -> None:
        self.slots, self.shift = slots, 65 - slots.size.bit_length()

    def _slot_of(self, identifier: bytes) -> int:
        """Return the slot in which an id's row is, or would be."""
        low, high = _HALVES.unpack(identifier)
        row_in, word_of, last = self.slots.item, self.words.item, self.slots.size - 1
        slot = self._home(low, high)
        while (row := row_in(slot)) != NO_ROW and (word_of(row, 0) != low or word_of(row, 1) != high):
            slot = slot + 1 & last
        return slot

    def _home(self, low: int, high: int) -> int:
        """Return the slot that the hash of an id's two halves names. The kernels do the same."""
        mixed = low * MIXERS[0] & _ALL
        mixed = (mixed ^ mixed >> 32 ^ high) * MIXERS[1] & _ALL
        return ((mixed ^ mixed >> 32) * MIXERS[2] & _ALL) >> self.shift


def _words_of(ids: Ids) -> npt.NDArray[np.uint64]:
    return np.array(ids, order="C").view(np.uint64)  # a copy: bytes that were read may stand at any address
