"""The concepts of a cortex: which ids there are, and on which column each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.identifiers import NO_ROW, Identifiers, Rows
from cortex_runtime.columns.kernels import Kernels

NOWHERE = -1


class Concepts(Identifiers):
    """One row an id. An id that is only known as the target of relationships is on no column (NOWHERE).

    ids uint8[M, 16], columns int32[M], operations int64[M] (by which it came to its column); the concepts
    of one column are a doubly linked list, the latest first: first int32[columns], and of each row before and
    after int32[M]; -1 nobody.
    """

    def __init__(self, kernels: Kernels | None = None) -> None:
        super().__init__(kernels)
        self.columns = np.zeros(0, dtype=np.int32)
        self.operations = np.zeros(0, dtype=np.int64)
        self.placed = 0
        self.before = np.zeros(0, dtype=np.int32)
        self.after = np.zeros(0, dtype=np.int32)
        self.first = np.zeros(0, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (self.columns, self.operations, self.before, self.after, self.first)
        return super().nbytes + sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        rows = slice(0, self._end)
        return super().state() | {
            "columns": self.columns[rows], "operations": self.operations[rows],
            "before": self.before[rows], "after": self.after[rows], "first": self.first,
        }  # fmt: skip

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        super().restore(state)
        self.columns, self.operations = state["columns"], state["operations"]
        self.before, self.after, self.first = state["before"], state["after"], state["first"]
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
        chains = [self.on(column, limit) for column in columns.tolist()]
        rows = np.array([row for chain in chains for row in chain], dtype=np.int64)
        return rows, np.array([len(chain) for chain in chains], dtype=np.int64)

    def waiting_rows(self) -> Rows:
        """Return the rows of all ids that are only known as targets."""
        rows = self.known_rows()
        waiting: Rows = rows[self.columns[rows] == NOWHERE]
        return waiting

    def make_columns(self, size: int) -> None:
        """Make room for concepts on `size` columns."""
        if size > self.first.size:
            self.first = grown(self.first, size, fill=-1)

    def place(self, row: int, column: int, operation: int) -> None:
        """Put a concept that is on no column on one."""
        self.make_columns(column + 1)
        latest = self.first.item(column)
        self.columns[row], self.operations[row] = column, operation
        self.before[row], self.after[row] = -1, latest
        if latest >= 0:
            self.before[latest] = row
        self.first[column] = row
        self.placed += 1

    def place_many(self, rows: Rows, columns: Rows, operations: Rows) -> None:
        """Put concepts that are on no column on columns, one after the other. All int64[n]."""
        self.make_columns(int(columns.max(initial=-1)) + 1)
        self.columns[rows], self.operations[rows] = columns, operations
        order = np.argsort(columns, kind="stable")
        chained, on = rows[order], columns[order]
        same = on[1:] == on[:-1]  # as the one before, which it comes to stand before
        earliest, latest = np.append(True, ~same)[: rows.size], np.append(~same, True)[: rows.size]
        firsts = self.first[on[earliest]]
        self.after[chained[earliest]] = firsts
        self.before[firsts[firsts >= 0]] = chained[earliest][firsts >= 0]
        self.after[chained[1:][same]] = chained[:-1][same]
        self.before[chained[:-1][same]] = chained[1:][same]
        self.before[chained[latest]] = -1
        self.first[on[latest]] = chained[latest]
        self.placed += rows.size

    def displace(self, row: int) -> None:
        """Take a concept off its column."""
        before, after = self.before[row], self.after[row]
        if before >= 0:
            self.after[before] = after
        else:
            self.first[self.columns[row]] = after
        if after >= 0:
            self.before[after] = before
        self.columns[row], self.operations[row] = NOWHERE, 0
        self.before[row] = self.after[row] = -1
        self.placed -= 1

    def _chain(self, column: int) -> Iterator[int]:
        row = int(self.first[column]) if column < self.first.size else -1
        while row >= 0:
            yield row
            row = int(self.after[row])

    def _make_room(self, size: int) -> None:
        super()._make_room(size)
        self.columns = grown(self.columns, size, fill=NOWHERE)
        self.operations = grown(self.operations, size)
        self.before = grown(self.before, size, fill=-1)
        self.after = grown(self.after, size, fill=-1)
