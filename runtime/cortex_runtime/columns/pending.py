"""The columns that a competition took, and how many columns have each bit by what was decided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import BITS, MAX_BITS, PAD
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.model import Bits

Ints = npt.NDArray[np.int64]
_FIRST_ROWS = 8
_NONE_MET = np.zeros(BITS, dtype=np.bool_)


class Pending:
    """Columns in the order in which they were taken: their bits are scanned, for they are in no index yet.

    columns int64[m], rows uint16[m, 40], words uint8[m]; those from `end` on are not used, and one that was
    given back has no bits any more. counts int32[65536]: how many columns have each bit; what stands from row
    `counted` on is not in it, until it is counted. met bool[65536]: bits that a counted row has, or had.
    Both are copied only when they change: who puts one concept needs neither.
    """

    def __init__(self, counts: npt.NDArray[np.int32]) -> None:
        self.columns = np.empty(_FIRST_ROWS, dtype=np.int64)
        self.rows = np.empty((_FIRST_ROWS, MAX_BITS), dtype=np.uint16)
        self.words = np.empty(_FIRST_ROWS, dtype=np.uint8)
        self.end = self.counted = 0
        self.counts, self.met = counts, _NONE_MET
        self._places: dict[int, int] = {}
        self._entered = 0

    def make_room(self, more: int) -> None:
        """Make room for so many more columns, all of which but the last will be counted."""
        size = self.end + more
        if size > self.columns.size:
            self.columns, self.rows = grown(self.columns, size), grown(self.rows, size)
            self.words = grown(self.words, size)
        if more > 1 or self.counted < self.end:
            self._own()

    def add(self, column: int, bits: Bits, words: int) -> None:
        """Add a column that was taken; there is room."""
        end = self.end
        self.columns[end], self.words[end] = column, words
        self.rows[end, : bits.size], self.rows[end, bits.size :] = bits, PAD
        self.end = end + 1

    def count(self) -> None:
        """Count the bits of the columns that were added since."""
        if self.counted == self.end:
            return
        self._own()
        for row in self.rows[self.counted : self.end]:
            bits = row[: int(row.searchsorted(PAD))]
            self.counts[bits] += 1
            self.met[bits] = True
        self.counted = self.end

    def place_of(self, column: int) -> int | None:
        """Return the place of a column here, None when it is not pending."""
        while self._entered < self.end:
            self._places[self.columns.item(self._entered)] = self._entered
            self._entered += 1
        return self._places.get(column)

    def leave(self, column: int, bits: Bits) -> bool:
        """Go on without a column and its bits; tell whether it was pending."""
        self.count()
        self._own()
        self.counts[bits] -= 1
        place = self.place_of(column)
        if place is None:
            return False
        del self._places[column]
        self.rows[place] = PAD
        return True

    def _own(self) -> None:
        if self.met is _NONE_MET:
            self.counts, self.met = self.counts.copy(), np.zeros(BITS, dtype=np.bool_)
