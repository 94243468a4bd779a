"""The index on bits: for each bit the columns that have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import BITS, PAD

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]
# Where a list is and what it brings: postings for each unit of weight, start in the arena, length, weight.
PostingsList = tuple[float, int, int, int]

# Capacities of lists: two sizes an octave, so that slack is 25 % at most on average and holes fit again.
_SIZES = np.unique([int(2 ** (i / 2)) & ~1 for i in range(4, 64)]).astype(np.int64)
_FIRST_ARENA = 4096


class Postings:
    """Postings lists in one arena (int32), each with slack; a list that grows moves to a bigger place.

    counts int32[65536]: length of each list, the bit's document frequency. Lists are in no order.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BITS, dtype=np.int32)
        self._starts = np.zeros(BITS, dtype=np.int64)
        self._classes = np.full(BITS, -1, dtype=np.int8)
        self._arena = np.zeros(_FIRST_ARENA, dtype=np.int32)
        self._used = 0
        self._holes: dict[int, Ints] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held, slack included."""
        return sum(part.nbytes for part in (self.counts, self._starts, self._classes, self._arena))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        holes = [(kind, start) for kind, starts in self._holes.items() for start in starts.tolist()]
        return {
            "counts": self.counts, "starts": self._starts, "classes": self._classes,
            "arena": self._arena[: self._used], "holes": np.array(holes, dtype=np.int64).reshape(-1, 2),
        }  # fmt: skip

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.counts, self._starts, self._classes = state["counts"], state["starts"], state["classes"]
        self._arena, self._used = state["arena"], state["arena"].size
        kinds, starts = state["holes"].T
        self._holes = {kind: starts[kinds == kind] for kind in np.unique(kinds).tolist()}

    def list_of(self, bit: int) -> Columns:
        """Return the columns that have a bit, as a view that is valid until the next change."""
        start = self._starts[bit]
        return self._arena[start : start + self.counts[bit]]

    def list_at(self, start: int, length: int) -> Columns:
        """Return a list as a view that is valid until the next change."""
        return self._arena[start : start + length]

    def lists(self, bits: Ints, weights: Ints) -> list[PostingsList]:
        """Return the lists of bits that have any and weigh something, the cheapest to visit first."""
        lengths, starts = self.counts[bits].tolist(), self._starts[bits].tolist()
        lists = [
            (length / weight, start, length, weight)
            for start, length, weight in zip(starts, lengths, weights.tolist(), strict=True)
            if length and weight
        ]
        lists.sort()
        return lists

    def add(self, columns: Ints, rows: npt.NDArray[np.uint16]) -> None:
        """Add columns int64[m] with their rows of bits uint16[m, 40], padded; none is in the index."""
        present = rows != PAD
        bits = rows[present]
        owners = np.repeat(columns, present.sum(axis=1))
        order = np.argsort(bits, kind="stable")
        bits, owners = bits[order], owners[order]
        first = (
            np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1]))) if bits.size else np.zeros(0, int)
        )
        lengths = np.diff(np.append(first, bits.size))
        distinct = bits[first].astype(np.int64)
        self._make_room(distinct, lengths)
        ranks = np.arange(bits.size) - np.repeat(first, lengths)
        places = np.repeat(self._starts[distinct] + self.counts[distinct], lengths) + ranks
        self._arena[places] = owners
        self.counts[distinct] += lengths.astype(np.int32)

    def remove(self, column: int, bits: npt.NDArray[np.uint16]) -> None:
        """Remove a column from the lists of its bits."""
        for bit in bits.tolist():
            entries = self.list_of(bit)
            entries[np.flatnonzero(entries == column)[0]] = entries[-1]
            self.counts[bit] -= 1

    def _make_room(self, bits: Ints, more: Ints) -> None:
        wanted = self.counts[bits] + more
        held = self._classes[bits].astype(np.int64)
        short = (held < 0) | (wanted > _SIZES[held])
        if not short.any():
            return
        bits, held = bits[short], held[short]
        classes = np.searchsorted(_SIZES, wanted[short])
        starts = np.empty(bits.size, dtype=np.int64)
        for size_class in np.unique(classes).tolist():
            members = np.flatnonzero(classes == size_class)
            starts[members] = self._places(size_class, members.size)
        self._copy(self._starts[bits], starts, self.counts[bits].astype(np.int64))
        for size_class in np.unique(held[held >= 0]).tolist():
            left = self._starts[bits[held == size_class]]
            self._holes[size_class] = np.concatenate((self._holes.get(size_class, left[:0]), left))
        self._starts[bits] = starts
        self._classes[bits] = classes

    def _places(self, size_class: int, count: int) -> Ints:
        holes = self._holes.get(size_class, np.zeros(0, dtype=np.int64))
        reused, self._holes[size_class] = holes[:count], holes[count:]
        size, fresh = int(_SIZES[size_class]), count - reused.size
        end = self._used + fresh * size
        if end > self._arena.size:
            grown = np.zeros(end + end // 4, dtype=np.int32)
            grown[: self._used] = self._arena[: self._used]
            self._arena = grown
        new = self._used + size * np.arange(fresh, dtype=np.int64)
        self._used = end
        return np.concatenate((reused, new))

    def _copy(self, sources: Ints, targets: Ints, lengths: Ints) -> None:
        ranks = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self._arena[np.repeat(targets, lengths) + ranks] = self._arena[np.repeat(sources, lengths) + ranks]
