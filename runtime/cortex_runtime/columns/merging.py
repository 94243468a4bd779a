"""The merge of a delta into compressed rows, in pieces: old and new are true all the while."""

from __future__ import annotations

import numpy as np

from cortex_runtime.columns.edges import Compressed, Delta, Numbers
from cortex_runtime.columns.kernels.interfaces import RelationshipsKernels

# What a piece does, chosen so that it takes a millisecond at most.
_EDGES = 8192
_ROWS = 32_768


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
        self._by_target: _Grouping | None = None
        self._cursor = np.zeros(4, dtype=np.int64)

    @property
    def left(self) -> int:
        """About how many pieces are left."""
        if self._by_target is not None:
            return self._by_target.left + 1
        row, at, more_at, _ = self._cursor.tolist()
        edges = self._old.weights.size - at + self._by_source.order.size - more_at
        copying = _pieces(edges, _EDGES) + _pieces(self._rows - row, _ROWS)
        return self._by_source.left + copying + _grouping(edges, self._rows) + 1

    def step(self) -> Compressed | None:
        """Do a piece; return the new rows after the last one."""
        if self._by_source.left:
            self._by_source.step()
        elif self._cursor[0] < self._rows:
            self._copy()
        elif self._by_target is None:
            self._by_target = _Grouping(self._kernels, self._targets[: self._cursor[3]], self._rows)
        elif self._by_target.left:
            self._by_target.step()
        else:
            return self._done(self._by_target)
        return None

    def _copy(self) -> None:
        old, delta = self._old, self._delta
        self._kernels.copy_rows(
            old.starts, old.targets, old.types, old.weights, self._copies,
            self._by_source.starts, self._by_source.order, delta.targets, delta.types, delta.weights,
            self._more_copies,
            self._starts, self._targets, self._types, self._weights, self._cursor, _ROWS, _EDGES,
        )  # fmt: skip

    def _done(self, by_target: _Grouping) -> Compressed:
        end = int(self._cursor[3])
        arrays = (
            self._starts, self._targets[:end], self._types[:end], self._weights[:end],
            by_target.starts, by_target.order,
        )  # fmt: skip
        merged = Compressed(self._kernels)
        merged.restore(dict(zip(Compressed.NAMES, arrays, strict=True)))
        return merged


class _Grouping:
    """Sorts the places of keys by key, in pieces, by counting (Knuth, TAOCP 3, 5.2).

    keys int32[n] below `rows`; order int32[n]: their places, those of a key ascending, from starts[key] to
    starts[key + 1]. First keys are counted two places further on, then summed up: starts[key + 1] is where
    a key begins, and moves to where it ends as its places are put.
    """

    def __init__(self, kernels: RelationshipsKernels, keys: Numbers, rows: int) -> None:
        self._kernels, self._keys = kernels, keys
        self.order: Numbers = np.empty(keys.size, dtype=np.int32)
        self._ends: Numbers = np.zeros(rows + 2, dtype=np.int32)
        self._counted = self._summed = self._put = 0

    @property
    def starts(self) -> Numbers:
        """Where the places of each key are in `order`, once nothing is left."""
        return self._ends[:-1]

    @property
    def left(self) -> int:
        """How many pieces are left."""
        keys = self._keys.size
        putting = _pieces(keys - self._counted, _EDGES) + _pieces(keys - self._put, _EDGES)
        return putting + _pieces(self._ends.size - self._summed, _ROWS)

    def step(self) -> None:
        """Do a piece."""
        keys, ends = self._keys, self._ends
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
    copying = _pieces(edges + more, _EDGES) + _pieces(rows, _ROWS)
    return _grouping(more, rows) + copying + _grouping(edges + more, rows) + 2


def _grouping(keys: int, rows: int) -> int:
    return 2 * _pieces(keys, _EDGES) + _pieces(rows, _ROWS)


def _pieces(items: int, most: int) -> int:
    return -(-items // most)
