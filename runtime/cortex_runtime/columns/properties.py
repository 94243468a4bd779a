"""The concepts' own properties as tags, and the lengths of the vectors they came from, by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.rooms import SIZES, Rooms, RowLists, distinct, kind_of

Rows = npt.NDArray[np.int64]
Tags = npt.NDArray[np.uint64]
_LISTS = 1 << 16
_NO_TAGS = np.zeros(0, dtype=np.uint64)
_FEW_STALE = 8


class Properties:
    """Tags uint64, ascending, and dimension uint16 of each row: 8 bytes for a row that has none.

    Each row's tags are in a room of their own. For each tag its row is in one of 65,536 lists, by 16 bits of
    the tag's hash. What a list says has to be compared with the row's tags: a row that lost a tag stays in
    the list until there are as many of those as others.
    dimension: that of all vectors, 0 when there are none. vectors: how many rows have a dimension.
    """

    def __init__(self) -> None:
        self.dimension = 0
        self.vectors = 0
        self._dimensions = np.zeros(0, dtype=np.uint16)
        self._sizes = np.zeros(0, dtype=np.uint16)
        self._starts = np.zeros(0, dtype=np.uint32)
        self._rooms = Rooms(np.uint64)
        self._lists = RowLists(0)
        self._stale = np.zeros(0, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (self._dimensions, self._sizes, self._starts, self._rooms, self._lists, self._stale)
        return sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any] | int]:
        """Return what `restore` takes."""
        return {
            "dimension": self.dimension, "vectors": self.vectors, "dimensions": self._dimensions,
            "sizes": self._sizes, "starts": self._starts, "stale": self._stale, **self._rooms.state(),
            **{f"list_{name}": part for name, part in self._lists.state().items()},
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.dimension, self.vectors = state["dimension"], state["vectors"]
        self._dimensions, self._sizes = state["dimensions"], state["sizes"]
        self._starts, self._stale = state["starts"], state["stale"]
        self._rooms.restore({name: state[name] for name in ("arena", "chains")})
        self._lists.restore(
            {name.removeprefix("list_"): part for name, part in state.items() if name.startswith("list_")}
        )

    def set(self, row: int, tags: Tags, dimension: int) -> None:
        """Give a row tags uint64[n], ascending, and a dimension, in place of those it has."""
        self._make_room(row + 1)
        added, removed = self._replace(row, tags)
        self._measure(row, dimension)
        if added.size:
            self._list(added, np.full(added.size, row))
        self._count_stale(removed)

    def set_many(self, rows: Rows, sizes: Rows, tags: Tags, dimensions: npt.NDArray[np.uint16]) -> None:
        """Do `set` for each of rows int64[n], in order; tags uint64[sum of sizes] are one after the other."""
        self._make_room(int(rows.max(initial=-1)) + 1)
        ends = np.cumsum(sizes)
        tagged = np.flatnonzero(sizes)
        kinds = np.searchsorted(SIZES, sizes[tagged])
        if self._sizes[rows].any() or self._rooms.has_chain(kinds) or np.unique(rows).size < rows.size:
            for row, start, end, dimension in zip(
                rows.tolist(), (ends - sizes).tolist(), ends.tolist(), dimensions.tolist(), strict=True
            ):
                self.set(row, tags[start:end], dimension)
            return
        starts = self._rooms.take_unused(kinds)
        shifts = np.repeat(starts - (ends - sizes)[tagged], sizes[tagged])
        self._rooms.arena[np.arange(tags.size) + shifts] = tags
        self._starts[rows[tagged]], self._sizes[rows] = starts, sizes
        if tags.size:
            self._list(tags, np.repeat(rows, sizes))
        for place in np.flatnonzero(dimensions != self._dimensions[rows]).tolist():
            self._measure(int(rows[place]), int(dimensions[place]))

    def drop(self, row: int) -> None:
        """Take all from a row."""
        if row < self._sizes.size:
            _, removed = self._replace(row, _NO_TAGS)
            self._measure(row, 0)
            self._count_stale(removed)

    def tags_of(self, row: int) -> Tags:
        """Return the tags of a row, ascending, as a view that is valid until the next change."""
        if row >= self._sizes.size:
            return _NO_TAGS
        start = int(self._starts[row])
        return self._rooms.arena[start : start + int(self._sizes[row])]

    def tags_by_row(self, rows: Rows) -> tuple[Rows, Tags]:
        """Return how many tags each of the rows int64[n] has, and the tags uint64 of one after the other."""
        starts, sizes = self._places_of(rows)
        shifts = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        return sizes, self._rooms.arena[np.arange(shifts.size) + shifts]

    def count_tags(self, rows: Rows) -> int:
        """Return how many tags the rows int64[n] have together."""
        return int(self._sizes[rows[rows < self._sizes.size]].sum())

    def steps_to(self, tag: int) -> int:
        """Return what `rows_with` costs, in elementary steps: a list's rows are looked at and looked up."""
        return 2 * self._lists.of(_list_of(tag)).size

    def rows_with(self, tag: int) -> Rows:
        """Return the rows int64[n], ascending, that have a tag."""
        rows = distinct(self._lists.of(_list_of(tag))).astype(np.int64)
        first, there = self.first_from(rows, tag)
        having: Rows = rows[there & (first == np.uint64(tag))]
        return having

    def first_from(self, rows: Rows, tag: int) -> tuple[Tags, npt.NDArray[np.bool_]]:
        """Return the first tag of each of the rows that is not below `tag`, and whether it has any."""
        starts, sizes = self._places_of(rows)
        arena, last = self._rooms.arena, self._rooms.arena.size - 1
        left, right = starts, starts + sizes
        for _ in range(int(sizes.max(initial=0)).bit_length()):
            middle = (left + right) >> 1
            below = (left < right) & (arena[np.minimum(middle, last)] < np.uint64(tag))
            left, right = np.where(below, middle + 1, left), np.where(below, right, middle)
        return arena[np.minimum(left, last)], left < starts + sizes

    def dimensions_of(self, rows: Rows) -> npt.NDArray[np.uint16]:
        """Return the dimensions of rows int64[n]."""
        dimensions = np.zeros(rows.size, dtype=np.uint16)
        known = rows < self._dimensions.size
        dimensions[known] = self._dimensions[rows[known]]
        return dimensions

    def dimension_of(self, row: int) -> int:
        """Return the dimension of a row, 0 for a text."""
        return int(self._dimensions[row]) if row < self._dimensions.size else 0

    def _places_of(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return where the tags of rows start, and how many they are."""
        known = rows < self._sizes.size
        starts, sizes = np.zeros((2, rows.size), dtype=np.int64)
        starts[known], sizes[known] = self._starts[rows[known]], self._sizes[rows[known]]
        return starts, sizes

    def _replace(self, row: int, tags: Tags) -> tuple[Tags, Tags]:
        """Put tags in place of a row's; return those that it did not have, and those that it has no more."""
        before = self.tags_of(row).copy()
        if before.size:
            self._rooms.give_up(int(self._starts[row]), kind_of(before.size))
        start = self._rooms.take(kind_of(tags.size)) if tags.size else 0
        self._rooms.arena[start : start + tags.size] = tags
        self._starts[row], self._sizes[row] = start, tags.size
        if not before.size or not tags.size:
            return tags, before
        old, new = set(before.tolist()), set(tags.tolist())
        return np.array(sorted(new - old), dtype=np.uint64), np.array(sorted(old - new), dtype=np.uint64)

    def _list(self, tags: Tags, rows: Rows) -> None:
        if not self._stale.size:  # the first tags of a cortex: most have none
            self._lists, self._stale = RowLists(_LISTS), np.zeros(_LISTS, dtype=np.int32)
        self._lists.add(_lists_of(tags), rows)

    def _measure(self, row: int, dimension: int) -> None:
        self.vectors += (dimension > 0) - bool(self._dimensions[row])
        self._dimensions[row] = dimension
        self.dimension = (dimension or self.dimension) if self.vectors else 0

    def _count_stale(self, removed: Tags) -> None:
        """Count rows that lists should not have any more, and clean the lists that have too many of them."""
        for number in _lists_of(removed).tolist():
            self._stale[number] += 1
            if self._stale[number] > max(_FEW_STALE, int(self._lists.lengths[number]) // 2):
                rows = distinct(self._lists.of(number))
                sizes, tags = self.tags_by_row(rows.astype(np.int64))
                right = distinct(np.repeat(rows, sizes)[_lists_of(tags) == number])
                self._lists.replace(number, right)
                self._stale[number] = 0

    def _make_room(self, size: int) -> None:
        self._dimensions = grown(self._dimensions, size)
        self._sizes = grown(self._sizes, size)
        self._starts = grown(self._starts, size)


def _lists_of(tags: Tags) -> Rows:
    """Return the number of each tag's list: Fibonacci hashing (Knuth, TAOCP 3, 6.4), to 16 bits."""
    return (tags * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(48)).astype(np.int64)


def _list_of(tag: int) -> int:
    return int(_lists_of(np.array([tag], dtype=np.uint64))[0])
