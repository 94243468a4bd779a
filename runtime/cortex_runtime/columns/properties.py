"""The concepts' own properties as tags, and the lengths of the vectors they came from, by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.model import MAX_TAGS

Rows = npt.NDArray[np.int64]
Tags = npt.NDArray[np.uint64]
# Rooms for tags: two sizes an octave, so that a hole fits again and a third is empty at most.
_ROOMS = np.unique([int(2 ** (i / 2)) for i in range(2 * MAX_TAGS.bit_length() - 1)]).astype(np.int64)
_ROOM_OF = np.searchsorted(_ROOMS, np.arange(MAX_TAGS + 1)).tolist()
_NO_HOLE = (1 << 64) - 1
_FIRST_ARENA = 1024


class Properties:
    """Tags uint64, ascending, and dimension uint16 of each row: 8 bytes for a row that has none.

    The tags are in one arena, each row's in a room of the next size that holds them. The rooms that were
    given up are a chained list a size, the chain in the rooms themselves (Knuth, TAOCP 1, 2.5).
    dimension: that of all vectors, 0 when there are none. vectors: how many rows have a dimension.
    """

    def __init__(self) -> None:
        self.dimension = 0
        self.vectors = 0
        self._dimensions = np.zeros(0, dtype=np.uint16)
        self._sizes = np.zeros(0, dtype=np.uint16)
        self._starts = np.zeros(0, dtype=np.uint32)
        self._arena = np.zeros(_FIRST_ARENA, dtype=np.uint64)
        self._used = 0
        self._holes = np.full(_ROOMS.size, _NO_HOLE, dtype=np.uint64)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (self._dimensions, self._sizes, self._starts, self._arena, self._holes)
        return sum(part.nbytes for part in parts)

    def set(self, row: int, tags: Tags, dimension: int) -> None:
        """Give a row tags uint64[n], ascending, and a dimension, in place of those it has."""
        self._make_room(row + 1)
        self._give_up(row)
        if tags.size:
            start = self._room(_ROOM_OF[tags.size])
            self._arena[start : start + tags.size] = tags
            self._starts[row], self._sizes[row] = start, tags.size
        self._measure(row, dimension)

    def drop(self, row: int) -> None:
        """Take all from a row."""
        if row < self._sizes.size:
            self._give_up(row)
            self._measure(row, 0)

    def tags_of(self, row: int) -> Tags:
        """Return the tags of a row, ascending, as a view that is valid until the next change."""
        if row >= self._sizes.size:
            return self._arena[:0]
        start = int(self._starts[row])
        return self._arena[start : start + int(self._sizes[row])]

    def tags_by_row(self, rows: Rows) -> tuple[Rows, Tags]:
        """Return how many tags each of the rows int64[n] has, and the tags uint64 of one after the other."""
        known = rows < self._sizes.size
        sizes = np.zeros(rows.size, dtype=np.int64)
        sizes[known] = self._sizes[rows[known]]
        starts = np.zeros(rows.size, dtype=np.int64)
        starts[known] = self._starts[rows[known]]
        shifts = starts - (np.cumsum(sizes) - sizes)
        return sizes, self._arena[np.arange(sizes.sum()) + np.repeat(shifts, sizes)]

    def count_tags(self, rows: Rows) -> int:
        """Return how many tags the rows int64[n] have together."""
        return int(self._sizes[rows[rows < self._sizes.size]].sum())

    def steps_to(self, tag: int) -> int:
        """Return what `rows_with` costs at most, in elementary steps."""
        del tag
        return int(self._sizes.sum())

    def rows_with(self, tag: int) -> Rows:
        """Return the rows int64[n], ascending, that have a tag."""
        sizes, tags = self.tags_by_row(np.arange(self._sizes.size))
        rows: Rows = np.repeat(np.arange(self._sizes.size), sizes)[tags == tag]
        return rows

    def dimensions_of(self, rows: Rows) -> npt.NDArray[np.uint16]:
        """Return the dimensions of rows int64[n]."""
        dimensions = np.zeros(rows.size, dtype=np.uint16)
        known = rows < self._dimensions.size
        dimensions[known] = self._dimensions[rows[known]]
        return dimensions

    def dimension_of(self, row: int) -> int:
        """Return the dimension of a row, 0 for a text."""
        return int(self._dimensions[row]) if row < self._dimensions.size else 0

    def _measure(self, row: int, dimension: int) -> None:
        self.vectors += (dimension > 0) - bool(self._dimensions[row])
        self._dimensions[row] = dimension
        self.dimension = (dimension or self.dimension) if self.vectors else 0

    def _give_up(self, row: int) -> None:
        if self._sizes[row]:
            room, start = _ROOM_OF[self._sizes[row]], int(self._starts[row])
            self._arena[start] = self._holes[room]
            self._holes[room] = start
            self._starts[row] = self._sizes[row] = 0

    def _room(self, room: int) -> int:
        hole = int(self._holes[room])
        if hole != _NO_HOLE:
            self._holes[room] = self._arena[hole]
            return hole
        start, self._used = self._used, self._used + int(_ROOMS[room])
        self._arena = grown(self._arena, self._used)
        return start

    def _make_room(self, size: int) -> None:
        self._dimensions = grown(self._dimensions, size)
        self._sizes = grown(self._sizes, size)
        self._starts = grown(self._starts, size)
