"""The merge of a delta into compressed rows, in pieces: old and new are true all the while."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.edges import Compressed, Delta, Numbers
from cortex_runtime.columns.kernels.interfaces import RelationshipsKernels

# What a piece does, chosen so that it takes a millisecond at most.
_EDGES = 4096
_ROWS = 16_384
_BYTES = 1 << 18  # to clear: memory is slow when it is touched for the first time


class Merge:
    """Writes what compressed rows and a delta hold into new compressed rows.

    What is changed or removed meanwhile is changed in its copy, too, once it has one (see edges._Copied);
    what is new comes to another delta. So the new rows can take the place of the old ones at once.
    """

    def __init__(self, kernels: RelationshipsKernels, old: Compressed, delta: Delta, rows: int) -> None:
        self._kernels, self._old, self._delta, self._rows = kernels, old, delta, rows
        most = old.weights.size + delta.used
        self._starts = np.zeros(rows + 1, dtype=np.int32)
        self._targets = np.empty(most, dtype=np.int32)
        self._types = np.empty(most, dtype=np.uint16)
        self._weights = np.empty(most, dtype=np.float32)
        self._copies, self._more_copies = old.copy_to(self._weights), delta.copy_to(self._weights)
        self._by_source = _Grouping(kernels, delta.sources[: delta.used], rows)
        self._by_target = _Grouping(kernels, self._targets, rows)
        arrays: list[npt.NDArray[Any]] = [self._targets, self._types, self._weights, self._copies]
        arrays += [self._more_copies, *self._by_source.arrays, *self._by_target.arrays]
        self._clearing = _Clearing(arrays)
        self._cursor = np.zeros(4, dtype=np.int64)

    @property
    def left(self) -> int:
        """About how many pieces are left."""
        row, at, more_at, _ = self._cursor.tolist()
        edges = self._old.weights.size - at + self._by_source.order.size - more_at
        copying = _pieces(edges, _EDGES) + _pieces(self._rows - row, _ROWS)
        return self._clearing.left + self._by_source.left + copying + self._by_target.left + 1

    def step(self) -> Compressed | None:
        """Do a piece; return the new rows after the last one."""
        if self._clearing.left:
            self._clearing.step()
        elif self._by_source.left:
            self._by_source.step()
        elif self._cursor[0] < self._rows:
            self._copy()
            self._by_target.keys = self._targets[: self._cursor[3]]
        elif self._by_target.left:
            self._by_target.step()
        else:
            return self._done()
        return None

    def _copy(self) -> None:
        old, delta = self._old, self._delta
        self._kernels.copy_rows(
            old.starts, old.targets, old.types, old.weights, self._copies,
            self._by_source.starts, self._by_source.order, delta.targets, delta.types, delta.weights,
            self._more_copies,
            self._starts, self._targets, self._types, self._weights, self._cursor, _ROWS, _EDGES,
        )  # fmt: skip

    def _done(self) -> Compressed:
        end = int(self._cursor[3])
        arrays = (
            self._starts, self._targets[:end], self._types[:end], self._weights[:end],
            self._by_target.starts, self._by_target.order[:end],
        )  # fmt: skip
        merged = Compressed(self._kernels)
        merged.restore(dict(zip(Compressed.NAMES, arrays, strict=True)))
        return merged


class _Clearing:
    """Fills arrays with zeros, in pieces: all memory that the other pieces touch is there by then.

    A page comes when it is touched first: 2 MB of zeros, a millisecond, and several in the same piece.
    """

    def __init__(self, arrays: list[npt.NDArray[Any]]) -> None:
        self._arrays = [array for array in arrays if array.size]
        self._done = 0

    @property
    def left(self) -> int:
        """How many pieces are left."""
        return sum(_pieces(array.nbytes, _BYTES) for array in self._arrays) - _pieces(self._done, _BYTES)

    def step(self) -> None:
        """Do a piece."""
        array = self._arrays[-1]
        begin = self._done // array.itemsize
        array[begin : begin + _BYTES // array.itemsize] = 0
        self._done += _BYTES
        if self._done >= array.nbytes:
            self._arrays.pop()
            self._done = 0


class _Grouping:
    """Sorts the places of keys by key, in pieces, by counting (Knuth, TAOCP 3, 5.2).

    keys int32[n] below `rows`; order int32[n]: their places, those of a key ascending, from starts[key] to
    starts[key + 1]. First keys are counted two places further on, then summed up: starts[key + 1] is where
    a key begins, and moves to where it ends as its places are put.
    """

    def __init__(self, kernels: RelationshipsKernels, keys: Numbers, rows: int) -> None:
        self._kernels, self.keys = kernels, keys
        self.order: Numbers = np.empty(keys.size, dtype=np.int32)
        self._ends: Numbers = np.empty(rows + 2, dtype=np.int32)
        self._counted = self._summed = self._put = 0

    @property
    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return the arrays, to be cleared before anything is done."""
        return [self.order, self._ends]

    @property
    def starts(self) -> Numbers:
        """Where the places of each key are in `order`, once nothing is left."""
        return self._ends[:-1]

    @property
    def left(self) -> int:
        """How many pieces are left."""
        keys = self.keys.size
        putting = _pieces(keys - self._counted, _EDGES) + _pieces(keys - self._put, _EDGES)
        return putting + _pieces(self._ends.size - self._summed, _ROWS)

    def step(self) -> None:
        """Do a piece."""
        keys, ends = self.keys, self._ends
        if self._counted < keys.size:
            part = keys[self._counted : self._counted + _EDGES]
            np.add.at(ends, part + np.int32(2), 1)
            self._counted += part.size
        elif self._summed < ends.size:
            first = max(self._summed - 1, 0)
            self._summed = min(self._summed + _ROWS, ends.size)
            part = ends[first : self._summed]
            np.cumsum(part, dtype=np.int32, out=part)
        else:
            part = keys[self._put : self._put + _EDGES]
            self._kernels.scatter(part, self._put, ends, self.order)
            self._put += part.size


def pieces_of(edges: int, more: int, rows: int) -> int:
    """Return about how many pieces a merge of so many edges will have."""
    clearing = _pieces(18 * (edges + more) + 8 * (more + rows), _BYTES)
    keys = edges + 2 * more
    return clearing + _pieces(3 * keys, _EDGES) + _pieces(3 * rows, _ROWS)


def _pieces(items: int, most: int) -> int:
    return -(-items // most)
