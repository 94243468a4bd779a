"""A cortex: columns, the concepts on them, and their relationships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns import applying, inheritance, querying, states
from cortex_runtime.columns.arrays import ColumnArrays
from cortex_runtime.columns.competition import Competition
from cortex_runtime.columns.concepts import NOWHERE, Concepts
from cortex_runtime.columns.consolidation import Consolidation
from cortex_runtime.columns.decisions import Decisions
from cortex_runtime.columns.digest import digest_of
from cortex_runtime.columns.encoding import Encoding
from cortex_runtime.columns.filtering import Where
from cortex_runtime.columns.free import FreeColumns
from cortex_runtime.columns.identifiers import NO_ROW
from cortex_runtime.columns.kernels import Kernels, chosen
from cortex_runtime.columns.model import (
    ID_BYTES,
    ConceptRecord,
    CortexSettings,
    Operation,
    Outcome,
    RelationshipRecord,
)
from cortex_runtime.columns.postings import Postings
from cortex_runtime.columns.properties import Properties
from cortex_runtime.columns.querying import QueryResult
from cortex_runtime.columns.relationships import Relationships
from cortex_runtime.columns.restoring import restore
from cortex_runtime.columns.search import Searcher
from cortex_runtime.columns.spreading import Scratch

_PARTS = ("arrays", "postings", "concepts", "relationships", "properties", "free")


class Cortex:
    """The columns of one cortex. `apply` alone changes it; competing and querying do not.

    Not for several threads at once: searches share scratch arrays.
    """

    def __init__(self, settings: CortexSettings | None = None, kernels: Kernels | None = None) -> None:
        self.settings = settings or CortexSettings()
        self.kernels = kernels or chosen()
        self.operations = 0
        self.columns = 0
        self.restored_at = -self.settings.refractory - 1
        self.arrays = ColumnArrays()
        self.postings = Postings(self.kernels)
        self.concepts = Concepts(self.kernels)
        self.relationships = Relationships(self.kernels)
        self.spreading = Scratch()
        self.properties = Properties()
        self.free = FreeColumns()
        self.searcher = Searcher(self.arrays, self.postings, self.kernels)
        # (operation, column) int64[n, 2] of the wins of the last `refractory` operations, in their order
        self.recent_wins = np.zeros((0, 2), dtype=np.int64)
        self.consolidation = Consolidation(self)
        self._digest: tuple[int, bytes] | None = None

    @classmethod
    def restore(
        cls,
        settings: CortexSettings | None,
        operations: int,
        concepts: Iterable[ConceptRecord],
        relationships: Iterable[RelationshipRecord],
        kernels: Kernels | None = None,
    ) -> Cortex:
        """Return the cortex that had come to a number of operations with these concepts and relationships.

        Its digest is that of the cortex that applied the decisions. What must be stored: for each concept the
        `Outcome.record` of its latest put (column, the column's bits and words, operation, variant_of), for
        each relationship its names and weight, and the cortex's number of operations.
        Not stored, and so not known: for how long columns rest that are empty already, and wins of concepts
        that are gone. A restored cortex takes it that all columns won just now: rest gets longer by at most
        `refractory` operations, never shorter. Decisions made elsewhere apply all the same.

        Raises ValueError when the records contradict each other.
        """
        cortex = cls(settings, kernels)
        restore(cortex, operations, concepts, relationships)
        return cortex

    def state(self) -> dict[str, npt.NDArray[Any] | int]:
        """Return all that `from_state` takes, by name: numbers, and arrays that are the cortex's own.

        They are valid until the next `apply` or consolidation; who needs them longer copies them (see
        columns.snapshot).
        """
        state: dict[str, npt.NDArray[Any] | int] = {
            "operations": self.operations, "columns": self.columns, "restored_at": self.restored_at,
            "recent_wins": self.recent_wins,
        }  # fmt: skip
        for part in _PARTS:
            state |= {f"{part}.{name}": value for name, value in getattr(self, part).state().items()}
        return state

    @classmethod
    def from_state(
        cls, settings: CortexSettings | None, state: Mapping[str, Any], kernels: Kernels | None = None
    ) -> Cortex:
        """Return the cortex that told a state; it goes on in the state's arrays, which it may change.

        Unlike `restore` it forgets nothing: what it decides next is what the other one would.
        """
        cortex = cls(settings, kernels)
        cortex.operations, cortex.columns = state["operations"], state["columns"]
        cortex.restored_at = state["restored_at"]
        cortex.recent_wins = state["recent_wins"]
        for part in _PARTS:
            of_part = {
                name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{part}.")
            }
            getattr(cortex, part).restore(of_part)
        return cortex

    def compete(self, operations: Sequence[Operation]) -> tuple[list[Outcome], Decisions]:
        """Return what becomes of operations, in order, and the decisions. Changes nothing.

        Raises InvalidOperationError. To do it in slices, use Competition.
        """
        competition = Competition(self)
        return competition.add_many(operations), competition.decisions()

    def apply(self, decisions: Decisions) -> None:
        """Apply decisions. Raises ValueError, and changes nothing, when they do not follow on this state."""
        applying.apply(self, decisions)
        self.consolidation.notice(decisions)
        self._digest = None

    def query(
        self,
        encoding: Encoding,
        k: int = 10,
        *,
        hops: int = 0,
        decay: float = 0.5,
        where: Where = (),
        budget: int | None = None,
        exact: bool = True,
    ) -> QueryResult:
        """Return the columns most like a text, and what they are related to (see querying.query)."""
        return querying.query(
            self, encoding, k, hops=hops, decay=decay, where=where, budget=budget, exact=exact
        )

    def query_many(
        self,
        encodings: Sequence[Encoding],
        k: int = 10,
        *,
        budget: int | None = None,
        exact: bool = True,
    ) -> list[QueryResult]:
        """Return the columns most like each of several texts (see querying.query_many)."""
        return querying.query_many(self, encodings, k, budget=budget, exact=exact)

    def column_of(self, identifier: bytes) -> int | None:
        """Return the column of a concept, None when there is no such concept."""
        return self.concepts.column_of(identifier)

    def ids_of(self, column: int, limit: int | None = None) -> tuple[bytes, ...]:
        """Return the ids of the concepts on a column, the latest first."""
        return tuple(self.concepts.id_of(row) for row in self.concepts.on(column, limit))

    def activation_of(self, column: int) -> float:
        """Return a column's activation now: 1 for each win, halved for each 1,024 operations since."""
        return self.arrays.activation_of(column, self.operations)

    def parent_of(self, identifier: bytes) -> bytes | None:
        """Return the concept from which a concept inherits directly, None when there is none."""
        return next(iter(self.ancestors_of(identifier)), None)

    def ancestors_of(self, identifier: bytes) -> tuple[bytes, ...]:
        """Return the concepts from which a concept inherits, nearest first."""
        row = self.concepts.row_of(identifier)
        ancestors = () if row == NO_ROW else inheritance.ancestors_of(self, row)
        return tuple(self.concepts.id_of(ancestor) for ancestor in ancestors)

    def relationships_of(self, identifier: bytes) -> list[RelationshipRecord]:
        """Return the relationships from a concept, pending ones included, by type and target."""
        row = self.concepts.row_of(identifier)
        edges = [] if row == NO_ROW else self.relationships.of(row)
        records = [
            RelationshipRecord(
                identifier, self.concepts.id_of(target), self.relationships.types[name], weight
            )
            for target, name, weight in edges
        ]
        return sorted(records, key=lambda record: (record.type, record.target))

    @property
    def concept_count(self) -> int:
        """Number of concepts."""
        return self.concepts.placed

    @property
    def relationship_count(self) -> int:
        """Number of relationships, pending ones included."""
        return self.relationships.count

    @property
    def pending_count(self) -> int:
        """Number of relationships whose target has not come yet."""
        waiting = self.concepts.waiting_rows()
        incoming = self.relationships.incoming
        return int(incoming[waiting[waiting < incoming.size]].sum())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        parts = (
            self.arrays, self.postings, self.concepts, self.relationships, self.properties, self.free,
        )  # fmt: skip
        return sum(part.nbytes for part in parts)

    @property
    def bytes_per_column(self) -> float:
        """Bytes of columns and index for each column that is in use."""
        return (self.arrays.nbytes + self.postings.nbytes) / max(1, self.columns)

    def digest(self) -> bytes:
        """Return a hash (32 bytes) of the state, whatever path led to it: the same on all replicas.

        Covers the number of operations, all concepts with their columns, bits, times and variant links, and
        all relationships, pending ones included. Kept until the next `apply`.
        """
        if self._digest is None or self._digest[0] != self.operations:
            self._digest = (self.operations, digest_of(self))
        return self._digest[1]

    # What a competition's overlay asks.

    def place_of(self, identifier: bytes) -> tuple[int, int] | None:
        """Return (column, operation by which it came there) of a concept, None when there is none."""
        row = self.concepts.row_of(identifier)
        if row == NO_ROW or (column := self.concepts.columns.item(row)) == NOWHERE:
            return None
        return column, self.concepts.operations.item(row)

    def lacks(self, identifiers: Sequence[bytes]) -> list[bool]:
        """Tell of each id (16 bytes) whether there is no such concept."""
        ids = np.frombuffer(b"".join(identifiers), dtype=np.uint8).reshape(-1, ID_BYTES)
        rows = self.concepts.rows_of(ids)
        known = np.flatnonzero(rows != NO_ROW)
        lacking = np.ones(rows.size, dtype=np.bool_)
        lacking[known] = self.concepts.columns[rows[known]] == NOWHERE
        flags: list[bool] = lacking.tolist()
        return flags

    def traits_of(self, identifier: bytes) -> tuple[tuple[int, ...], int]:
        """Return the tags of a concept and its dimension; none and 0 when there is no such concept."""
        row = self.concepts.row_of(identifier)
        if row == NO_ROW:
            return (), 0
        return tuple(self.properties.tags_of(row).tolist()), self.properties.dimension_of(row)

    def concepts_on(self, column: int) -> int:
        """Return how many concepts are on a column."""
        return int(self.arrays.concepts[column]) if column < self.arrays.concepts.size else 0

    def rests_until(self, column: int) -> int:
        """Return the last operation at which a column is refractory."""
        won = max(int(self.arrays.last_operation[column]), self.restored_at)
        return won + self.settings.refractory

    def set_free(self, columns: npt.NDArray[np.int64]) -> None:
        """Let empty columns int64[n] be taken again."""
        if columns.size:
            states.pass_through(self.arrays.states, columns, states.FREE)
            self.arrays.last_operation[columns] = 0

    def has_edge(self, source: bytes, target: bytes, name: str) -> bool:
        """Tell whether there is a relationship."""
        rows = self.concepts.row_of(source), self.concepts.row_of(target)
        return NO_ROW not in rows and self.relationships.has(*rows, name)
