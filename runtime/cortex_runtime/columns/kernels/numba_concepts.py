"""Walking the concepts of columns, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


def chained(first: Rows, after: Rows, columns: Ints, limit: int) -> tuple[Ints, Ints]:
    """Return the rows that are chained on columns, at most `limit` of each, and how many of each."""
    chains: tuple[Ints, Ints] = _chained(first, after, columns, limit)
    return chains


@njit(
    "Tuple((int64[::1], int64[::1]))(int32[::1], int32[::1], int64[::1], int64)", cache=True, nogil=True
)  # fmt: skip
def _chained(first, after, columns, limit):  # type: ignore[no-untyped-def]
    rows, sizes = np.empty(max(4 * columns.size, 16), dtype=np.int64), np.zeros(columns.size, dtype=np.int64)
    count = 0
    for place in range(columns.size):
        row = np.int64(first[columns[place]]) if columns[place] < first.size else np.int64(-1)
        while row >= 0 and sizes[place] < limit:
            if count == rows.size:
                larger = np.empty(2 * count, dtype=np.int64)
                larger[:count] = rows
                rows = larger
            rows[count] = row
            count += 1
            sizes[place] += 1
            row = np.int64(after[row])
    return rows[:count], sizes
