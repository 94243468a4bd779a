"""Competition: concepts compete for columns, and the strongest inhibit those that are like them.

A concept's candidates are the columns that share enough of its weight, the strongest first: most shared
weight, then fewest words, then lowest number. A candidate whose weighted Jaccard similarity to an earlier
winner reaches the radius is suppressed; the first few that are left have won. The concept joins the first
winner when the two are similar enough, else it takes the lowest free column.

Puts of new concepts compete by the kernels (numpy_competition, numba_competition), many in one call where
nothing else comes between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.decisions import Decision, Decisions, Describing, Kind, Placing, Relating
from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS
from cortex_runtime.columns.model import (
    INHERITS,
    MAX_ANCESTORS,
    CapacityError,
    ConceptRecord,
    CycleError,
    Delete,
    DimensionError,
    InvalidOperationError,
    Operation,
    Outcome,
    Put,
    QuotaError,
    Relate,
    TooManyTypesError,
    UnknownConceptError,
    Unrelate,
    check,
    has_id,
    well_formed,
)
from cortex_runtime.columns.overlay import Overlay

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Rows = npt.NDArray[np.uint16]
MAX_CANDIDATES = 64
_WORTH_A_RUN = 4  # puts: fewer are checked sooner one by one


class Competition:
    """Lets operations compete, one after the other, against a cortex that it does not change.

    Each sees what those before it decided, so that a batch gives what one by one would give. While a
    competition is under way nothing may be applied to the cortex.
    """

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        self._before = cortex.operations
        self._operation = cortex.operations
        self._decisions: list[Decision] = []
        self._overlay = Overlay(cortex)

    def __contains__(self, identifier: bytes) -> bool:
        """Tell whether there is a concept, by what was decided so far."""
        return self._overlay.place_of(identifier) is not None

    @property
    def columns(self) -> int:
        """Return how many columns are taken, by what was decided so far."""
        return self._overlay.occupied

    def add(self, operation: Operation) -> Outcome:
        """Let an operation compete. Raises InvalidOperationError, and is then as if it had not been tried."""
        self._check_cortex()
        check(operation)
        mark = self.mark()
        self._operation += 1
        try:
            return self._try(operation)
        except InvalidOperationError:
            if self.mark()[1] > mark[1]:
                self.rollback(mark)
            self._operation = mark[0]
            raise

    def add_many(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Let operations compete, in order: gives what `add` gives one by one, and is faster.

        Raises InvalidOperationError, the one of the first that is refused; then it is as if none of them had
        been tried.
        """
        self._check_cortex()
        mark, absent = self.mark(), self._absent(operations)
        outcomes: list[Outcome] = []
        try:
            while (start := len(outcomes)) < len(operations):
                run = self._run(operations, absent, start)
                if len(run) < _WORTH_A_RUN:
                    outcomes.append(self.add(operations[start]))
                else:
                    outcomes += self._put_new(run)
        except InvalidOperationError:
            self.rollback(mark)
            raise
        return outcomes

    def _check_cortex(self) -> None:
        if self._cortex.operations != self._before:
            raise RuntimeError("the cortex was changed while a competition was under way")

    def _absent(self, operations: Sequence[Operation]) -> list[bool]:
        """Tell of each operation whether it puts a concept that the cortex lacks; no when there are few."""
        puts = [isinstance(each, Put) and has_id(each) for each in operations]
        if sum(puts) < _WORTH_A_RUN:
            return [False] * len(puts)
        ids = [each.id for each, put in zip(operations, puts, strict=True) if put and isinstance(each, Put)]
        absent = iter(self._cortex.lacks(ids))
        return [put and next(absent) for put in puts]

    def _run(self, operations: Sequence[Operation], absent: list[bool], start: int) -> list[Put]:
        """Return puts of new concepts that follow each other, which neither quota nor dimension refuses."""
        overlay, quota = self._overlay, self._cortex.settings.quota
        end = len(operations) if quota is None else start + max(0, quota - overlay.concepts)
        run: dict[bytes, Put] = {}
        for operation, new in zip(operations[start:end], absent[start:end], strict=True):
            if not new or not isinstance(operation, Put):
                break
            if operation.id in run or overlay.has_placed(operation.id):
                break
            if operation.dimension and not (overlay.vectors and operation.dimension == overlay.dimension):
                break
            run[operation.id] = operation
        return list(run.values())

    def _try(self, operation: Operation) -> Outcome:
        if isinstance(operation, Put):
            return self._put(operation)
        if isinstance(operation, Delete):
            return self._delete(operation)
        if isinstance(operation, Relate):
            return self._relate(operation)
        return self._unrelate(operation)

    def mark(self) -> tuple[int, int]:
        """Return where the competition stands, to come back to by `rollback`."""
        return self._operation, len(self._decisions)

    def rollback(self, mark: tuple[int, int]) -> None:
        """Forget what was added since a mark."""
        self._operation, kept = mark
        again, self._decisions = self._decisions[:kept], []
        self._overlay = Overlay(self._cortex)
        for decision in again:
            if isinstance(decision, Placing) and decision.kind == Kind.TAKE:
                self._overlay.free.take(decision.operation)
            self._decide(decision)

    def decisions(self) -> Decisions:
        """Return what was decided, to append to the log and then to apply."""
        return Decisions.of(self._before, self._operation - self._before, self._decisions)

    def _decide(self, decision: Decision) -> None:
        self._decisions.append(decision)
        self._overlay.add(decision)

    def _put(self, put: Put) -> Outcome:
        self._check_dimension(put)
        place = self._overlay.place_of(put.id)
        if place is None:
            self._check_quota(put)
        elif self._stays(put, place[0]):
            self._describe(put, self._operation)
            record = self._record(put, *place)
            return Outcome("updated", self._operation, place[0], 1.0, record.variant_of, (), record)
        else:
            self._decide(Placing(Kind.RELEASE, self._operation, put.id, place[0]))
        rows = np.full((1, MAX_BITS), PAD, dtype=np.uint16)
        rows[0, : put.bits.size] = put.bits
        (outcome,) = self._compete([put], rows, np.array([put.words], dtype=np.uint8))
        if place is not None or put.tags or put.dimension:
            self._describe(put, self._operation)
        return outcome

    def _put_new(self, puts: list[Put]) -> list[Outcome]:
        """Put concepts that are not there, up to the first that is malformed: that is checked by itself."""
        rows, words = well_formed(puts)
        if not words.size:
            return [self.add(puts[0])]
        outcomes: list[Outcome] = []
        while (done := len(outcomes)) < words.size:
            self._operation += 1
            outcomes += self._compete(puts[done : words.size], rows[done:], words[done:])
            self._operation = outcomes[-1].operation
        for put, outcome in zip(puts, outcomes, strict=False):
            if put.tags or put.dimension:
                self._describe(put, outcome.operation)
        return outcomes

    def _check_quota(self, put: Put) -> None:
        quota = self._cortex.settings.quota
        if quota is not None and self._overlay.concepts >= quota:
            raise QuotaError(quota, put.id)

    def _check_dimension(self, put: Put) -> None:
        overlay = self._overlay
        if not put.dimension or put.dimension == overlay.dimension:
            return
        if overlay.vectors - (overlay.traits_of(put.id)[1] > 0):
            raise DimensionError(
                f"The vector of concept {put.id.hex()} has {put.dimension} numbers, those of the others"
                f" {overlay.dimension}. Give vectors of one model, or use another cortex."
            )

    def _describe(self, put: Put, operation: int) -> None:
        if (put.tags, put.dimension) != self._overlay.traits_of(put.id):
            self._decide(Describing(operation, put.id, put.tags, put.dimension))

    def _stays(self, put: Put, column: int) -> bool:
        """Tell whether a concept stays where it is: the same bits, or one of several that are like them."""
        overlay, bits = self._overlay, self._overlay.bits_of(column)
        if np.array_equal(bits, put.bits):
            return True
        if overlay.concepts_on(column) == 1:
            return False
        own = overlay.weigh(put.bits)
        row = overlay.rows(np.array([column]))
        shared = int(self._cortex.searcher.shared(put.bits, own, row)[0])
        total = int(own.sum() + overlay.weigh(bits).sum()) - shared
        return shared / max(1, total) >= self._cortex.settings.join_threshold

    def _compete(self, puts: Sequence[Put], rows: Rows, words: npt.NDArray[np.uint8]) -> list[Outcome]:
        """Let concepts that are nowhere compete, the first of them at this operation; some are left over when
        a column wakes that one of them may take. Raises CapacityError.
        """
        cortex, overlay, capacity = self._cortex, self._overlay, self._cortex.settings.capacity
        columns, count = overlay.free.ahead(self._operation, len(puts))
        free = np.array([column for column in columns if column < capacity], dtype=np.int64)
        places, overlaps, winners = cortex.kernels.competition.compete(
            cortex.searcher, overlay, cortex.settings, rows[:count], words[:count], free
        )
        if not places.size:
            raise CapacityError(
                f"All {capacity} columns of the cortex are taken or resting. Delete concepts, or use another"
                " cortex."
            )
        won = [tuple([column for column in each if column >= 0]) for each in winners.tolist()]
        results = zip(puts, places.tolist(), overlaps.tolist(), won, strict=False)
        return [self._arrive(operation, *result) for operation, result in enumerate(results, self._operation)]

    def _arrive(
        self, operation: int, put: Put, column: int, overlap: float, winners: tuple[int, ...]
    ) -> Outcome:
        """Decide that a concept comes to a column."""
        settings, overlay = self._cortex.settings, self._overlay
        if overlap >= settings.join_threshold:
            self._decide(Placing(Kind.JOIN, operation, put.id, column))
            record = self._record(put, column, operation)
            return Outcome("joined", operation, column, overlap, record.variant_of, winners, record)
        variant_of = winners[0] if settings.radius and overlap >= settings.radius else -1
        overlay.free.take(operation)
        decision = Placing(Kind.TAKE, operation, put.id, column, put.words, variant_of, put.bits)
        self._decisions.append(decision)
        overlay.place(decision)
        record = ConceptRecord(
            put.id, column, put.bits, put.words, operation, variant_of, put.tags, put.dimension
        )
        return Outcome("allocated", operation, column, overlap, variant_of, winners, record)

    def _record(self, put: Put, column: int, operation: int) -> ConceptRecord:
        bits = self._overlay.bits_of(column)
        words = int((bits < WORD_BITS).sum())
        variant_of = self._overlay.variant_of(column)
        return ConceptRecord(put.id, column, bits, words, operation, variant_of, put.tags, put.dimension)

    def _delete(self, operation: Delete) -> Outcome:
        place = self._overlay.place_of(operation.id)
        if place is None:
            return Outcome("absent", self._operation)
        self._decide(Placing(Kind.DELETE, self._operation, operation.id, place[0]))
        return Outcome("deleted", self._operation, place[0])

    def _relate(self, operation: Relate) -> Outcome:
        place = self._overlay.place_of(operation.source)
        if place is None:
            return Outcome("absent", self._operation)
        if not operation.pending and self._overlay.place_of(operation.target) is None:
            raise UnknownConceptError(operation.target)
        if not self._overlay.knows_type(operation.type):
            raise TooManyTypesError(operation.type)
        replaced = self._leave_parent(operation) if operation.type == INHERITS else None
        names = operation.source, operation.target, operation.type
        weight = float(np.float32(operation.weight))
        self._decide(Relating(Kind.RELATE, self._operation, *names, weight))
        return Outcome("related", self._operation, place[0], replaced=replaced)

    def _leave_parent(self, operation: Relate) -> bytes | None:
        """Take a concept from the parent it has, if that is another one, and return it. Raises CycleError."""
        lineage, child, parent = self._overlay.lineage, operation.source, operation.target
        before = lineage.parent_of(child)
        if before == parent:
            return None
        chain = child, parent, *lineage.ancestors_of(parent)
        if child in chain[1:]:
            raise CycleError("A concept would inherit from itself", chain[: chain.index(child, 1) + 1])
        if len(chain) - 1 + lineage.generations_below(child) > MAX_ANCESTORS:
            raise CycleError(f"A concept would inherit from more than {MAX_ANCESTORS}", chain)
        if before is not None:
            self._decide(Relating(Kind.UNRELATE, self._operation, child, before, INHERITS))
        return before

    def _unrelate(self, operation: Unrelate) -> Outcome:
        place = self._overlay.place_of(operation.source)
        if not self._overlay.has_edge(operation.source, operation.target, operation.type):
            return Outcome("absent", self._operation)
        self._decide(
            Relating(Kind.UNRELATE, self._operation, operation.source, operation.target, operation.type)
        )
        return Outcome("unrelated", self._operation, place[0] if place else None)
