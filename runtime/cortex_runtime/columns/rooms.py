"""Rooms of many sizes in one array, and lists of rows in such rooms."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import Scalar, grown

Integer = TypeVar("Integer", bound=np.integer[Any])
Ints = npt.NDArray[np.int64]
# Two sizes an octave, so that a room that was given up fits again, and a third of one is empty at most.
SIZES = np.unique([int(2 ** (i / 2)) for i in range(63)]).astype(np.int64)
_SIZES = SIZES.tolist()
_FIRST_ARENA = 1024


def distinct(rows: npt.NDArray[Integer]) -> npt.NDArray[Integer]:
    """Return rows ascending, each once. np.unique takes 25 times as long on a million."""
    if (rows[1:] > rows[:-1]).all():
        return rows
    ordered = np.sort(rows)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def kind_of(size: int) -> int:
    """Return the kind of the smallest room that holds so many: its place in SIZES."""
    return bisect_left(_SIZES, size)


class Rooms(Generic[Scalar]):
    """Rooms in `arena`, by where they start. Those given up are a chained list for each kind.

    The chains are in the rooms themselves (Knuth, TAOCP 1, 2.5): the first item of one tells where the next
    starts, plus 1; 0 ends a chain.
    """

    def __init__(self, dtype: type[Scalar]) -> None:
        self.arena: npt.NDArray[Scalar] = np.zeros(_FIRST_ARENA, dtype=dtype)
        self._used = 0
        self._chains = np.zeros(SIZES.size, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        return self.arena.nbytes + self._chains.nbytes

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        return {"arena": self.arena[: self._used], "chains": self._chains}

    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state."""
        self._used, self._chains = state["arena"].size, state["chains"]
        self.arena = grown(state["arena"], 1)

    def take(self, kind: int) -> int:
        """Return the start of a room of a kind; what is in it is not cleared."""
        if self._chains[kind]:
            start = int(self._chains[kind]) - 1
            self._chains[kind] = self.arena[start]
            return start
        start = self._used
        self._used += _SIZES[kind]
        self.arena = grown(self.arena, self._used)
        return start

    def take_unused(self, kinds: Ints) -> Ints:
        """Return the starts of rooms of some kinds int64[n], one after the other behind all others."""
        ends = self._used + np.cumsum(SIZES[kinds])
        self._used = int(ends[-1]) if kinds.size else self._used
        self.arena = grown(self.arena, self._used)
        starts: Ints = ends - SIZES[kinds]
        return starts

    def has_chain(self, kinds: Ints) -> bool:
        """Tell whether a room of one of the kinds int64[n] was given up."""
        return bool(self._chains[kinds].any())

    def give_up(self, start: int, kind: int) -> None:
        """Give a room back."""
        self.arena[start] = self._chains[kind]
        self._chains[kind] = start + 1


class RowLists:
    """Lists of rows int32 by number, in the order in which they were added. lengths int32[n]."""

    def __init__(self, count: int) -> None:
        self.lengths = np.zeros(count, dtype=np.int32)
        self._starts = np.zeros(count, dtype=np.int64)
        self._kinds = np.full(count, -1, dtype=np.int8)
        self._rooms = Rooms(np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (self.lengths, self._starts, self._kinds, self._rooms)
        return sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        own: dict[str, npt.NDArray[Any]] = {
            "lengths": self.lengths,
            "starts": self._starts,
            "kinds": self._kinds,
        }
        return own | self._rooms.state()

    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state."""
        self.lengths, self._starts, self._kinds = state["lengths"], state["starts"], state["kinds"]
        self._rooms.restore(state)

    def of(self, number: int) -> npt.NDArray[np.int32]:
        """Return a list, as a view that is valid until the next change."""
        if not self.lengths.size:
            return self._rooms.arena[:0]
        start = int(self._starts[number])
        return self._rooms.arena[start : start + int(self.lengths[number])]

    def add(self, numbers: Ints, rows: Ints) -> None:
        """Add each of rows int64[n] to the end of the list of its number int64[n]."""
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        growing, counts = ordered[first], np.diff(first, append=ordered.size)
        wanted = self.lengths[growing] + counts
        short = (self._kinds[growing] < 0) | (wanted > SIZES[self._kinds[growing]])
        for number, length in zip(growing[short].tolist(), wanted[short].tolist(), strict=True):
            self._move(number, self.of(number).copy(), length)
        shifts = self._starts[growing] + self.lengths[growing] - first
        self._rooms.arena[np.repeat(shifts, counts) + np.arange(rows.size)] = rows[order]
        self.lengths[growing] = wanted

    def replace(self, number: int, rows: npt.NDArray[np.int32]) -> None:
        """Make a list of rows int32[n] of what was another one, in a room that fits."""
        self._move(number, rows, rows.size)

    def _move(self, number: int, rows: npt.NDArray[np.int32], length: int) -> None:
        if self._kinds[number] >= 0:
            self._rooms.give_up(int(self._starts[number]), int(self._kinds[number]))
        kind = kind_of(length) if length else -1
        self._kinds[number], self.lengths[number] = kind, rows.size
        if length:
            start = self._starts[number] = self._rooms.take(kind)
            self._rooms.arena[start : start + rows.size] = rows
