"""The index on bits: for each bit the columns that have it, as a list or, of a common bit, as a bitmap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import BITS, PAD
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.kernels import Kernels, chosen

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

# Capacities of lists: two sizes an octave, so that slack is 25 % at most on average and holes fit again.
SIZES = np.unique([int(2 ** (i / 2)) & ~1 for i in range(4, 64)]).astype(np.int64)
NOT_LISTED, NOT_MAPPED = -1, -1
SMALLEST_BITMAP = 1024  # columns that a bit has at least before it gets one
_COMMON, _COMMON_NO_MORE = 100, 200  # a bit that more than one in so many columns has, or fewer
_FIRST_ARENA = 1 << 16
_FIRST_BITMAPS = 8


class Postings:
    """Lists in one arena (int32), each with slack, that move to a bigger place when they grow; and bitmaps.

    counts int32[65536]: how many columns have each bit, its document frequency. Lists are in no order.
    starts int64[65536] and classes int8[65536] (into SIZES, -1 none) tell where a list is; holes int64 is,
    for each size, the place of a room that is free plus 1, 0 none, in which stands the next, and so on. slots
    int16[65536]: a common bit's row of bitmaps uint64[m, words], -1 for a bit that has a list; column c is
    bit c % 64 of word c // 64. `used` int64[1] is the end of what is taken of the arena.
    """

    def __init__(self, kernels: Kernels | None = None) -> None:
        self.kernels = (kernels or chosen()).postings
        self.counts = np.zeros(BITS, dtype=np.int32)
        self.columns = 0
        self.end = 0
        self.starts = np.zeros(BITS, dtype=np.int64)
        self.classes = np.full(BITS, NOT_LISTED, dtype=np.int8)
        self.arena = np.zeros(_FIRST_ARENA, dtype=np.int32)
        self.used = np.zeros(1, dtype=np.int64)
        self.holes = np.zeros(SIZES.size, dtype=np.int64)
        self.slots = np.full(BITS, NOT_MAPPED, dtype=np.int16)
        self.bitmaps: Words = np.zeros((_FIRST_BITMAPS, 0), dtype=np.uint64)
        self._bit_in = np.full(_FIRST_BITMAPS, PAD, dtype=np.uint16)  # of each bitmap; PAD when it is free
        self._misfits: list[int] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held, slack included."""
        return sum(part.nbytes for part in self.state().values() if isinstance(part, np.ndarray))

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "counts": self.counts, "columns": self.columns, "end": self.end, "starts": self.starts,
            "classes": self.classes, "arena": self.arena[: int(self.used[0])], "holes": self.holes,
            "slots": self.slots, "bitmaps": self.bitmaps, "bit_in": self._bit_in,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.counts, self.starts, self.classes = state["counts"], state["starts"], state["classes"]
        self.columns, self.end = int(state["columns"]), int(state["end"])
        self.arena, self.holes = state["arena"], state["holes"]
        self.used = np.array([self.arena.size], dtype=np.int64)
        self.slots, self.bitmaps, self._bit_in = state["slots"], state["bitmaps"], state["bit_in"]
        self._misfits = None

    @property
    def words(self) -> int:
        """Words of each bitmap that may have a bit set."""
        return -(-self.end // 64)

    def list_of(self, bit: int) -> npt.NDArray[np.integer[Any]]:
        """Return the columns that have a bit; of a list, a view that is valid until the next change."""
        if (slot := self.slots.item(bit)) != NOT_MAPPED:
            return columns_in(self.bitmaps[slot, : self.words])
        start = self.starts[bit]
        return self.arena[start : start + self.counts[bit]]

    def steps(self, bits: Ints) -> Ints:
        """Return what visiting each bit's columns costs, in elementary steps: postings, or words of a bitmap.

        It does not tell which of them there is: a replica may have turned one into the other already.
        """
        return np.minimum(self.counts[bits], self.words, dtype=np.int64)

    def add(self, columns: Ints, rows: npt.NDArray[np.uint16]) -> None:
        """Add columns int64[m] with their rows of bits uint16[m, 40], padded; none is in the index."""
        if not columns.size:
            return
        self.columns += columns.size
        self.end = max(self.end, int(columns.max()) + 1)
        self.bitmaps = widened(self.bitmaps, self.words)
        self.kernels.add(self, columns, rows)
        self._misfits = None

    def remove(self, column: int, bits: npt.NDArray[np.uint16]) -> None:
        """Remove a column from the lists and bitmaps of its bits."""
        self.kernels.remove(self, column, bits)
        self.columns -= 1
        self._misfits = None

    def common_from(self) -> int:
        """Return how many columns a bit has at least that gets a bitmap when its list has to grow."""
        return max(SMALLEST_BITMAP, self.columns // _COMMON + 1)

    def make_room(self, bit: int, count: int) -> None:
        """Move a bit's list to where `count` columns fit, or make a bitmap of it when the bit is common."""
        if count >= self.common_from():
            self._map(bit)
            return
        held = self.list_of(bit).copy()
        self._give_up(bit)
        size_class = int(SIZES.searchsorted(count))
        start = self.take(size_class)
        self.arena[start : start + held.size] = held
        self.starts[bit], self.classes[bit] = start, size_class

    def take(self, size_class: int) -> int:
        """Return the place of a free room of a size."""
        if self.holes[size_class]:
            start = int(self.holes[size_class]) - 1
            self.holes[size_class] = self.arena[start]
            return start
        start = int(self.used[0])
        self.used[0] = start + SIZES[size_class]
        self.arena = grown(self.arena, int(self.used[0]))
        return start

    def backlog(self) -> int:
        """Return how many bits have another form than they should: see `tidy`."""
        if self._misfits is None:
            mapped, counts = self.slots != NOT_MAPPED, self.counts.astype(np.int64)
            common = counts >= self.common_from()
            rare = (counts < SMALLEST_BITMAP // 2) | (counts * _COMMON_NO_MORE < self.columns)
            # Two sizes an octave: a room that is four times too large, small ones left alone.
            loose = (self.classes >= 8) & (SIZES[self.classes] > 4 * counts)
            self._misfits = np.flatnonzero(np.where(mapped, rare, common | loose)).tolist()
        return len(self._misfits)

    def tidy(self) -> bool:
        """Give one bit the form it should have: a bitmap when it became common, a list when it is rare again,
        a smaller room when its list shrank. Tell whether there was one. At 1,000,000 columns it takes < 1 ms.
        """
        if not self.backlog():
            return False
        assert self._misfits is not None
        bit = self._misfits.pop()
        if self.slots[bit] != NOT_MAPPED:
            self._unmap(bit)
        elif self.counts[bit]:
            self.make_room(bit, int(self.counts[bit]))
        else:
            self._give_up(bit)
            self.classes[bit] = NOT_LISTED
        return True

    def _map(self, bit: int) -> None:
        columns = self.list_of(bit)
        free = np.flatnonzero(self._bit_in == PAD)
        if not free.size:
            free = np.array([self._bit_in.size])
            self._bit_in = grown(self._bit_in, self._bit_in.size + 1, fill=PAD, chunk=_FIRST_BITMAPS)
            self.bitmaps = grown(self.bitmaps, self._bit_in.size, chunk=_FIRST_BITMAPS)
        slot = int(free[0])
        self.bitmaps[slot] = bitmap_of(columns, self.bitmaps.shape[1])
        self._give_up(bit)
        self.classes[bit], self.slots[bit], self._bit_in[slot] = NOT_LISTED, slot, bit

    def _unmap(self, bit: int) -> None:
        slot = int(self.slots[bit])
        columns = columns_in(self.bitmaps[slot, : self.words])
        self.bitmaps[slot] = 0
        self.slots[bit], self._bit_in[slot] = NOT_MAPPED, PAD
        self.classes[bit] = size_class = int(SIZES.searchsorted(columns.size))
        start = self.starts[bit] = self.take(size_class)
        self.arena[start : start + columns.size] = columns

    def _give_up(self, bit: int) -> None:
        if (size_class := int(self.classes[bit])) != NOT_LISTED:
            start = int(self.starts[bit])
            self.arena[start] = self.holes[size_class]
            self.holes[size_class] = start + 1


def widened(bitmaps: Words, words: int) -> Words:
    """Return bitmaps of at least so many words: those given, or copies with an eighth more room."""
    if words <= bitmaps.shape[1]:
        return bitmaps
    wider = np.zeros((bitmaps.shape[0], words + words // 8 + 16), dtype=np.uint64)
    wider[:, : bitmaps.shape[1]] = bitmaps
    return wider


def bitmap_of(columns: npt.NDArray[np.integer[Any]], words: int) -> Words:
    """Return a bitmap of so many words in which columns are set."""
    flags = np.zeros(64 * words, dtype=np.bool_)
    flags[columns] = True
    return np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def columns_in(bitmap: Words) -> Ints:
    """Return the columns int64 that are set in a bitmap, ascending."""
    words = np.flatnonzero(bitmap)
    raw = bitmap[words].astype("<u8", copy=False).view(np.uint8)
    places = np.flatnonzero(np.unpackbits(raw, bitorder="little").view(np.bool_))
    columns: Ints = words[places >> 6] * 64 + (places & 63)
    return columns
