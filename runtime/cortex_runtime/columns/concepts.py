"""The concepts of a cortex: which ids there are, and on which column each is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.model import ID_BYTES

NOWHERE = -1


class Concepts:
    """One row an id. An id that is only known as the target of relationships is on no column (NOWHERE).

    ids uint8[M, 16], columns int32[M], operations int64[M] (by which it came to its column); the concepts
    of one column are a doubly linked list, the latest first.
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.ids = np.zeros((0, ID_BYTES), dtype=np.uint8)
        self.columns = np.zeros(0, dtype=np.int32)
        self.operations = np.zeros(0, dtype=np.int64)
        self.placed = 0
        self._before = np.zeros(0, dtype=np.int32)
        self._after = np.zeros(0, dtype=np.int32)
        self._first = np.zeros(0, dtype=np.int32)
        self._unused: list[int] = []
        self._end = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the dictionary of ids is not counted."""
        parts = (self.ids, self.columns, self.operations, self._before, self._after, self._first)
        return sum(part.nbytes for part in parts)

    def column_of(self, identifier: bytes) -> int | None:
        """Return the column of a concept, None when there is no such concept."""
        row = self.rows.get(identifier)
        column = NOWHERE if row is None else int(self.columns[row])
        return None if column == NOWHERE else column

    def id_of(self, row: int) -> bytes:
        """Return the id in a row."""
        return bytes(self.ids[row])

    def on(self, column: int, limit: int | None = None) -> list[int]:
        """Return the rows of the concepts on a column, the latest first."""
        return list(islice(self._chain(column), limit))

    def placed_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows of all concepts that are on a column."""
        return np.flatnonzero(self.columns[: self._end] != NOWHERE)

    def waiting_rows(self) -> npt.NDArray[np.int64]:
        """Return the rows of all ids that are only known as targets."""
        waiting = self.columns[: self._end] == NOWHERE
        waiting[self._unused] = False
        return np.flatnonzero(waiting)

    def row_of(self, identifier: bytes) -> int:
        """Return the row of an id, a new one when it is not known."""
        row = self.rows.get(identifier)
        if row is None:
            if self._unused:
                row = self._unused.pop()
            else:
                row, self._end = self._end, self._end + 1
                self._make_room(self._end)
            self.rows[identifier] = row
            self.ids[row] = np.frombuffer(identifier, dtype=np.uint8)
        return row

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

    def forget(self, row: int) -> None:
        """Give a row back whose id is on no column and no relationship's target."""
        del self.rows[self.id_of(row)]
        self.ids[row] = 0
        self._unused.append(row)

    def _chain(self, column: int) -> Iterator[int]:
        row = int(self._first[column]) if column < self._first.size else -1
        while row >= 0:
            yield row
            row = int(self._after[row])

    def _make_room(self, size: int) -> None:
        self.ids = grown(self.ids, size)
        self.columns = grown(self.columns, size, fill=NOWHERE)
        self.operations = grown(self.operations, size)
        self._before = grown(self._before, size, fill=-1)
        self._after = grown(self._after, size, fill=-1)
