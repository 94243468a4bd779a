"""The concepts of a cortex: which ids there are, and on which column each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.identifiers import NO_ROW, Identifiers, Rows
from cortex_runtime.columns.kernels import Kernels, chosen

NOWHERE = -1


class Concepts(Identifiers):
    """One row an id. An id that is only known as the target of relationships is on no column (NOWHERE).

    ids uint8[M, 16], columns int32[M], operations int64[M] (by which it came to its column); the concepts
    of one column are a doubly linked list, the latest first.
    """

    def __init__(self, kernels: Kernels | None = None) -> None:
        super().__init__()
        self._kernels = (kernels or chosen()).concepts
        self.columns = np.zeros(0, dtype=np.int32)
        self.operations = np.zeros(0, dtype=np.int64)
        self.placed = 0
        self._before = np.zeros(0, dtype=np.int32)
        self._after = np.zeros(0, dtype=np.int32)
        self._first = np.zeros(0, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (self.columns, self.operations, self._before, self._after, self._first)
        return super().nbytes + sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        rows = slice(0, self._end)
        return super().state() | {
            "columns": self.columns[rows], "operations": self.operations[rows],
            "before": self._before[rows], "after": self._after[rows], "first": self._first,
        }  # fmt: skip

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        super().restore(state)
        self.columns, self.operations = state["columns"], state["operations"]
        self._before, self._after, self._first = state["before"], state["after"], state["first"]
        self.placed = int((self.columns != NOWHERE).sum())

    def column_of(self, identifier: bytes) -> int | None:
        """Return the column of a concept, None when there is no such concept."""
        row = self.row_of(identifier)
        column = NOWHERE if row == NO_ROW else self.columns.item(row)
        return None if column == NOWHERE else column

    def id_of(self, row: int) -> bytes:
        """Return the id in a row."""
        return bytes(self.ids[row])

    def on(self, column: int, limit: int | None = None) -> list[int]:
        """Return the rows of the concepts on a column, the latest first."""
        return list(islice(self._chain(column), limit))

    def on_each(self, columns: Rows, limit: int) -> tuple[Rows, Rows]:
        """Return the rows of the concepts on columns int64[n], of each the latest first and at most `limit`,
        one column's after the other's, and how many of each.
        """
        return self._kernels.chained(self._first, self._after, columns, limit)

    def waiting_rows(self) -> Rows:
        """Return the rows of all ids that are only known as targets."""
        rows = self.known_rows()
        waiting: Rows = rows[self.columns[rows] == NOWHERE]
        return waiting

    def place(self, row: int, column: int, operation: int) -> None:
        """Put a concept on a column."""
        if column >= self._first.size:
            self._first = grown(self._first, column + 1, fill=-1)
        first = self._first[column]
        self.columns[row], self.operations[row] = column, operation
        self._before[row], self._after[row] = -1, first
        if first >= 0:
            self._before[first] = row
        self._first[column] = row
        self.placed += 1

    def place_many(self, rows: Rows, columns: Rows, operations: Rows) -> None:
        """Put concepts that are on no column on columns, as by `place` one by one. All int64[n]."""
        self._first = grown(self._first, int(columns.max(initial=-1)) + 1, fill=-1)
        self.columns[rows], self.operations[rows] = columns, operations
        order = np.argsort(columns, kind="stable")
        chained, on = rows[order], columns[order]
        same = on[1:] == on[:-1]  # as the one before, which it comes to stand before
        earliest, latest = np.append(True, ~same)[: rows.size], np.append(~same, True)[: rows.size]
        firsts = self._first[on[earliest]]
        self._after[chained[earliest]] = firsts
        self._before[firsts[firsts >= 0]] = chained[earliest][firsts >= 0]
        self._after[chained[1:][same]] = chained[:-1][same]
        self._before[chained[:-1][same]] = chained[1:][same]
        self._before[chained[latest]] = -1
        self._first[on[latest]] = chained[latest]
        self.placed += rows.size

    def displace(self, row: int) -> None:
        """Take a concept off its column."""
        before, after = self._before[row], self._after[row]
        if before >= 0:
            self._after[before] = after
        else:
            self._first[self.columns[row]] = after
        if after >= 0:
            self._before[after] = before
        self.columns[row], self.operations[row] = NOWHERE, 0
        self._before[row] = self._after[row] = -1
        self.placed -= 1

    def _chain(self, column: int) -> Iterator[int]:
        row = int(self._first[column]) if column < self._first.size else -1
        while row >= 0:
            yield row
            row = int(self._after[row])

    def _make_room(self, size: int) -> None:
        super()._make_room(size)
        self.columns = grown(self.columns, size, fill=NOWHERE)
        self.operations = grown(self.operations, size)
        self._before = grown(self._before, size, fill=-1)
        self._after = grown(self._after, size, fill=-1)
