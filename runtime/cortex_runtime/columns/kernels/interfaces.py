"""What the kernels of each concept do: a protocol that two modules satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cortex_runtime.columns.concepts import Concepts
    from cortex_runtime.columns.model import CortexSettings
    from cortex_runtime.columns.overlay import Overlay
    from cortex_runtime.columns.postings import Postings
    from cortex_runtime.columns.search import FoundMany, Searcher

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]


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
        self,
        searcher: Searcher,
        concepts: Concepts,
        bits: Ints,
        ends: Ints,
        columns: int,
        limit: int,
        most: int,
    ) -> FoundMany:
        """Weigh queries, the bits of one after the other's, and search by those that cost at most `most`."""


class CompetitionKernels(Protocol):
    """Letting concepts compete for columns."""

    def compete(
        self,
        searcher: Searcher,
        overlay: Overlay,
        settings: CortexSettings,
        rows: Rows,
        words: npt.NDArray[np.uint8],
        free: Ints,
    ) -> tuple[Ints, npt.NDArray[np.float64], Ints]:
        """Let concepts that are on no column compete, in order; the overlay gets the columns they take.

        rows uint16[n, 40] and words uint8[n] are those of the concepts, free int64[m] the columns that may be
        taken, in order. Return, of the concepts up to the first for which there is none left: columns
        int64[k], that each came to; overlaps float64[k], the weighted Jaccard similarity to the strongest
        candidate (from the joining threshold on it was joined); winners int64[k, w], the strongest first, -1
        none.
        """
