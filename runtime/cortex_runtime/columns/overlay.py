"""What a competition has decided and the cortex does not know yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.decisions import Decision, Describing, Kind, Placing, Relating
from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.free import FreeView
from cortex_runtime.columns.inheritance import Lineage
from cortex_runtime.columns.model import INHERITS, MAX_TYPES, Bits
from cortex_runtime.columns.pending import Pending
from cortex_runtime.columns.weights import weights_of

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Ints = npt.NDArray[np.int64]
Traits = tuple[tuple[int, ...], int]
_Edge = tuple[bytes, bytes, str]


class Overlay:
    """The cortex as it would be once the decisions so far are applied.

    occupied: how many columns are in use. concepts: how many there are.
    `hidden` int64[n], ascending: columns of the cortex that are empty by now, or have other bits.
    `dimension`: that of all vectors; `vectors`: how many concepts came from one.
    """

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        self.occupied, self.concepts = cortex.columns, cortex.concept_count
        self.pending = Pending(cortex.postings.counts)
        self.hidden: Ints = np.zeros(0, dtype=np.int64)
        self.free = FreeView(cortex.free)
        self.lineage = Lineage(cortex)
        self.dimension, self.vectors = cortex.properties.dimension, cortex.properties.vectors
        self._placed: dict[bytes, tuple[int, int] | None] = {}
        self._concepts: dict[int, int] = {}
        self._wins: dict[int, int] = {}
        self._variants: dict[int, int] = {}
        self._edges: dict[_Edge, bool] = {}
        self._traits: dict[bytes, Traits] = {}
        self._types: set[str] = set()  # of relationships, that the cortex does not know
        self._gone: set[bytes] = set()

    def weigh(self, bits: npt.NDArray[np.integer]) -> Ints:
        """Return the weights int64 of bits."""
        self.pending.count()
        return weights_of(bits, self.pending.counts[bits], self.occupied)

    def place_of(self, identifier: bytes) -> tuple[int, int] | None:
        """Return (column, operation by which it came there) of a concept, None when there is none."""
        if identifier in self._placed:
            return self._placed[identifier]
        return self._cortex.place_of(identifier)

    def has_placed(self, identifier: bytes) -> bool:
        """Tell whether by a decision a concept is where it is."""
        return self._placed.get(identifier) is not None

    def concepts_on(self, column: int) -> int:
        """Return how many concepts are on a column."""
        known = self._concepts.get(column)
        return self._cortex.concepts_on(column) if known is None else known

    def rests_until(self, column: int) -> int:
        """Return the last operation at which a column is refractory."""
        won = self._wins.get(column)
        return self._cortex.rests_until(column) if won is None else won + self._cortex.settings.refractory

    def variant_of(self, column: int) -> int:
        """Return the column that a column was a variant of when it was taken, -1 none."""
        known = self._variants.get(column)
        return int(self._cortex.arrays.variant_of[column]) if known is None else known

    def rows(self, columns: Ints) -> npt.NDArray[np.uint16]:
        """Return the bits uint16[n, 40] of columns."""
        rows = np.empty((columns.size, MAX_BITS), dtype=np.uint16)
        for index, column in enumerate(columns.tolist()):
            rows[index] = self._row(column)
        return rows

    def bits_of(self, column: int) -> Bits:
        """Return the bits uint16[n] of a column."""
        row = self._row(column)
        return row[: int(row.searchsorted(PAD))].copy()

    def knows_type(self, name: str) -> bool:
        """Tell whether a type of relationships is known by now, or may become so."""
        relationships = self._cortex.relationships
        if name in self._types or relationships.knows(name):
            return True
        return len(relationships.types) + len(self._types) < MAX_TYPES

    def has_edge(self, source: bytes, target: bytes, name: str) -> bool:
        """Tell whether there is a relationship."""
        known = self._edges.get((source, target, name))
        if known is not None:
            return known
        return not {source, target} & self._gone and self._cortex.has_edge(source, target, name)

    def traits_of(self, identifier: bytes) -> Traits:
        """Return the tags and the dimension of a concept; none and 0 when there is no such concept."""
        known = self._traits.get(identifier)
        return self._cortex.traits_of(identifier) if known is None else known

    def add(self, decision: Decision) -> None:
        """Go on as if a decision were applied. A TAKE's column has been taken from `free` already."""
        if isinstance(decision, Placing):
            if decision.kind == Kind.TAKE:
                self.pending.make_room(1)
                self.pending.add(decision.column, decision.bits, decision.words)
                self.occupied += 1
            if decision.kind in (Kind.TAKE, Kind.JOIN):
                self.place(decision)
            else:
                self._leave(decision)
        elif isinstance(decision, Describing):
            self._describe(decision.id, decision.tags, decision.dimension)
        else:
            self._relate(decision)

    def place(self, decision: Placing) -> None:
        """Go on as if a concept had come to a column, which is pending already when it was taken."""
        column = decision.column
        self._placed[decision.id] = (column, decision.operation)
        self.concepts += 1
        self._wins[column] = decision.operation
        if decision.kind == Kind.TAKE:
            self._concepts[column] = 1
            self._variants[column] = decision.variant_of
        else:
            self._concepts[column] = self.concepts_on(column) + 1

    def _row(self, column: int) -> Bits:
        place = self.pending.place_of(column)
        row: Bits = self._cortex.arrays.bits[column] if place is None else self.pending.rows[place]
        return row

    def _relate(self, decision: Relating) -> None:
        there = decision.kind == Kind.RELATE
        self._edges[decision.source, decision.target, decision.type] = there
        if not self._cortex.relationships.knows(decision.type):
            self._types.add(decision.type)
        if decision.type == INHERITS:
            self.lineage.set_parent(decision.source, decision.target if there else None)

    def _describe(self, identifier: bytes, tags: tuple[int, ...], dimension: int) -> None:
        self.vectors += (dimension > 0) - (self.traits_of(identifier)[1] > 0)
        self.dimension = (dimension or self.dimension) if self.vectors else 0
        self._traits[identifier] = tags, dimension

    def _leave(self, decision: Placing) -> None:
        column = decision.column
        self._placed[decision.id] = None
        self.concepts -= 1
        self._concepts[column] = left = self.concepts_on(column) - 1
        if not left:
            self.occupied -= 1
            if not self.pending.leave(column, self.bits_of(column)):
                self.hidden = np.insert(self.hidden, np.searchsorted(self.hidden, column), column)
            self.free.release(column, self.rests_until(column), decision.operation)
        if decision.kind == Kind.DELETE:
            self._gone.add(decision.id)
            self._describe(decision.id, (), 0)
            self.lineage.delete(decision.id)
            for edge in self._edges:
                if decision.id in edge[:2]:
                    self._edges[edge] = False
