"""What the kernels of each concept do: a protocol that two modules satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cortex_runtime.columns.postings import Postings
    from cortex_runtime.columns.search import FoundMany, Searcher

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]


class ConceptsKernels(Protocol):
    """Walking the concepts of columns."""

    def chained(
        self, first: npt.NDArray[np.int32], after: npt.NDArray[np.int32], columns: Ints, limit: int
    ) -> tuple[Ints, Ints]:
        """Return the rows that are chained on columns, at most `limit` of each, and how many of each."""


class PostingsKernels(Protocol):
    """Adding to the index, removing from it."""

    def add(self, postings: Postings, columns: Ints, rows: Rows) -> None:
        """Add columns int64[m] with their rows of bits uint16[m, 40]; bitmaps are wide enough."""

    def remove(self, postings: Postings, column: int, bits: Rows) -> None:
        """Remove a column from what its bits uint16[n] have."""


class SearchKernels(Protocol):
    """Finding the columns that share the most weight."""

    def weigh(self, bits: Ints, counts: npt.NDArray[np.int32], columns: int) -> Ints:
        """Return the weights of bits int64[n]: see weights.weights_of."""

    def shared(self, searcher: Searcher, bits: Ints, weights: Ints, rows: Rows) -> Ints:
        """Return the weight int64[n] that rows of bits uint16[n, 40] share with bits int64[m]."""

    def search(
        self, searcher: Searcher, bits: Ints, weights: Ints, limit: int, floor: int, without: Ints
    ) -> tuple[Ints, Ints]:
        """Return the best columns that share at least `floor`, and the weight each shares, best first."""

    def find_many(
        self, searcher: Searcher, bits: Ints, ends: Ints, columns: int, limit: int, most: int
    ) -> FoundMany:
        """Weigh queries, the bits of one after the other's, and search by those that cost at most `most`."""
