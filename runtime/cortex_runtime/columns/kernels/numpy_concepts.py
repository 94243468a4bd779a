"""Walking the concepts of columns, in plain Python: there are a few columns, with a few concepts each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


def chained(first: Rows, after: Rows, columns: Ints, limit: int) -> tuple[Ints, Ints]:
    """Return the rows that are chained on columns, at most `limit` of each, and how many of each."""
    rows: list[int] = []
    sizes: list[int] = []
    for column in columns.tolist():
        row = first.item(column) if column < first.size else -1
        before = len(rows)
        while row >= 0 and len(rows) < before + limit:
            rows.append(row)
            row = after.item(row)
        sizes.append(len(rows) - before)
    return np.array(rows, dtype=np.int64), np.array(sizes, dtype=np.int64)
