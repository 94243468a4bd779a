"""What the kernels of each concept do: a protocol that two modules satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cortex_runtime.columns.concepts import Concepts
    from cortex_runtime.columns.cortex import Cortex
    from cortex_runtime.columns.following import Placings
    from cortex_runtime.columns.identifiers import Identifiers
    from cortex_runtime.columns.model import CortexSettings
    from cortex_runtime.columns.overlay import Overlay
    from cortex_runtime.columns.postings import Postings
    from cortex_runtime.columns.search import FoundMany, Searcher

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint64]


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


class IdentifiersKernels(Protocol):
    """The hash table of ids, many at a time."""

    def find(self, table: Identifiers, wanted: Words) -> Ints:
        """Return the rows int64[n] of ids uint64[n, 2], NO_ROW for those that are not known."""

    def enter(self, table: Identifiers, rows: Ints) -> None:
        """Put rows int64[n], whose ids stand in the table, into slots, of which there are enough."""

    def first_alike(self, words: Words) -> Ints:
        """Return for each of ids uint64[n, 2] the first place int64[n] where the same one stands."""


class ApplyingKernels(Protocol):
    """Checking placings and storing those by which concepts come to columns."""

    def first_impossible(self, cortex: Cortex, placings: Placings) -> int:
        """Return the place of the first placing that does not follow on what is before it, -1 none."""

    def store(self, cortex: Cortex, arrivals: Placings) -> None:
        """Store TAKEs and JOINs in the columns' arrays, but for their states, and in those of concepts.

        There is room for the columns, and the concepts are in rows and on no column.
        """


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
        """Let concepts that are on no column compete, in order, and bring the overlay's pending columns along.

        rows uint16[n, 40] and words uint8[n] are those of the concepts, free int64[m] the columns that they may
        take, in order. Return, of as many concepts as there were columns for: columns int64[k], that each came
        to; overlaps float64[k], the weighted Jaccard similarity to the strongest candidate (one that reaches
        the joining threshold was joined, else a column was taken); winners int64[k, w], the strongest first,
        -1 none.
        """
