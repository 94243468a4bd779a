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
    from cortex_runtime.columns.relationships import Relationships
    from cortex_runtime.columns.search import FoundMany, Searcher

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int32]
Types = npt.NDArray[np.uint16]
Weights = npt.NDArray[np.float32]
Activations = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


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


class RelationshipsKernels(Protocol):
    """Finding and entering edges, and rewriting them in pieces (see edges.py and merging.py)."""

    def find_compressed(
        self, starts: Numbers, in_starts: Numbers, in_places: Numbers, held: Types,
        sources: Ints, targets: Ints, types: Ints,
    ) -> Ints:  # fmt: skip
        """Return the place of each edge in compressed rows whose types are `held`, -1 when it has none."""

    def find_recent(
        self, out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
        held_sources: Numbers, held_targets: Numbers, held_types: Types,
        sources: Ints, targets: Ints, types: Ints,
    ) -> Ints:  # fmt: skip
        """Return the place of each edge in a delta, -1 when it has none.

        The chains of its source and its target are followed side by side, until one of them ends.
        """

    def enter(
        self, out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
        held_sources: Numbers, held_targets: Numbers, held_types: Types, held_weights: Weights, used: int,
        sources: Ints, targets: Ints, types: Ints, weights: Weights,
    ) -> tuple[int, Flags]:  # fmt: skip
        """Enter edges into a delta that has room for all of them, in order, each once.

        Returns how many are in it, and of each edge whether it was not there, or removed.
        """

    def chained(self, heads: Numbers, following: Numbers, keys: Numbers, rows: Ints) -> tuple[Ints, Ints]:
        """Return the index in `rows`, and the place, of each edge in the chains of rows, in no order.

        keys int32[used]: the row in whose chain each edge is.
        """

    def scatter(self, keys: Numbers, first: int, ends: Numbers, places: Numbers) -> None:
        """Put `first`, `first` + 1, ... to the ends of the parts of `places` that belong to their keys.

        ends int32: for each key, at key + 1, where its part ends so far.
        """

    def copy_rows(
        self, starts: Numbers, targets: Numbers, types: Types, weights: Weights, copies: Numbers,
        more_starts: Numbers, order: Numbers, more_targets: Numbers, more_types: Types,
        more_weights: Weights, more_copies: Numbers,
        new_starts: Numbers, new_targets: Numbers, new_types: Types, new_weights: Weights,
        cursor: Ints, rows: int, edges: int,
    ) -> None:  # fmt: skip
        """Copy the next edges, row by row: the compressed ones, then those of a delta in `order`.

        order int32: places of the delta, by source, in the order in which they came; those of a row are
        more_starts[row] to more_starts[row + 1]. Removed ones are left out. `copies` and `more_copies` are
        told where each went, plus 1, and `new_starts` where each row that is done ends. cursor int64[4]: the
        row, and how far in the compressed edges, in `order`, and in the new arrays. At most about `rows`
        rows and `edges` edges of either kind are done.
        """


class SpreadingKernels(Protocol):
    """Handing activation on over relationships."""

    def hop(
        self, relationships: Relationships, columns: Numbers, activations: Activations, slots: Numbers,
        frontier: Ints, decay: float,
    ) -> tuple[Ints, Ints, Ints]:  # fmt: skip
        """Raise `activations` over the edges from the rows in `frontier`, by what all had before the hop.

        columns int32[rows] are negative where there is no concept; slots int32[rows] is scratch, zeros
        before and after. Returns the rows that were raised, ascending, and the row and the type by which
        each was best reached: of edges that bring the same, of the lowest row, then of the lowest type.
        """


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
        """Let concepts that are on no column compete, in order; the overlay gets the columns they take.

        rows uint16[n, 40] and words uint8[n] are those of the concepts, free int64[m] the columns that may be
        taken, in order. Return, of the concepts up to the first for which there is none left: columns
        int64[k], that each came to; overlaps float64[k], the weighted Jaccard similarity to the strongest
        candidate (from the joining threshold on it was joined); winners int64[k, w], the strongest first, -1
        none.
        """
