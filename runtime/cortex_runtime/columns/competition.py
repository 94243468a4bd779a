"""Competition: concepts compete for columns, and the strongest inhibit those that are like them.

A concept's candidates are the columns that share enough of its weight, the strongest first: most shared
weight, then fewest words, then lowest number. A candidate whose weighted Jaccard similarity to an earlier
winner reaches the radius is suppressed; the first few that are left have won. The concept joins the first
winner when the two are similar enough, else it takes the lowest free column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.decisions import Decision, Decisions, Describing, Kind, Placing, Relating
from cortex_runtime.columns.encoding import PAD, WORD_BITS
from cortex_runtime.columns.model import (
    INHERITS,
    MAX_ANCESTORS,
    Bits,
    CapacityError,
    ConceptRecord,
    CycleError,
    Delete,
    DimensionError,
    InvalidOperationError,
    Operation,
    Outcome,
    Put,
    Relate,
    UnknownConceptError,
    Unrelate,
    check,
)
from cortex_runtime.columns.overlay import Overlay
from cortex_runtime.columns.search import ranking, weights_of

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Ints = npt.NDArray[np.int64]
MAX_CANDIDATES = 64
_NOBODY = np.zeros(0, dtype=np.int64)


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

    def add(self, operation: Operation) -> Outcome:
        """Let an operation compete. Raises InvalidOperationError, and is then as if it had not been tried."""
        check(operation)
        if self._cortex.operations != self._before:
            raise RuntimeError("the cortex was changed while a competition was under way")
        mark = self.mark()
        self._operation += 1
        try:
            return self._try(operation)
        except InvalidOperationError:
            if self.mark()[1] > mark[1]:
                self.rollback(mark)
            self._operation = mark[0]
            raise

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
        if place is not None:
            if self._stays(put, place[0]):
                self._describe(put)
                record = self._record(put, *place)
                return Outcome("updated", self._operation, place[0], 1.0, record.variant_of, (), record)
            self._decide(Placing(Kind.RELEASE, self._operation, put.id, place[0]))
        outcome = self._compete(put)
        self._describe(put)
        return outcome

    def _check_dimension(self, put: Put) -> None:
        overlay = self._overlay
        others = overlay.vectors - (overlay.traits_of(put.id)[1] > 0)
        if put.dimension and others and put.dimension != overlay.dimension:
            raise DimensionError(
                f"The vector of concept {put.id.hex()} has {put.dimension} numbers, those of the others"
                f" {overlay.dimension}. Give vectors of one model, or use another cortex."
            )

    def _describe(self, put: Put) -> None:
        if (put.tags, put.dimension) != self._overlay.traits_of(put.id):
            self._decide(Describing(self._operation, put.id, put.tags, put.dimension))

    def _stays(self, put: Put, column: int) -> bool:
        """Tell whether a concept stays where it is: the same bits, or one of several that are like them."""
        bits = self._overlay.bits_of(column)
        if np.array_equal(bits, put.bits):
            return True
        if self._overlay.concepts_on(column) == 1:
            return False
        weights = self._weights(put.bits)
        shared = self._cortex.searcher.shared(put.bits, weights, self._overlay.rows(np.array([column])))
        similar = self._similarities(int(weights.sum()), shared, np.array([column]))
        return bool(similar[0] >= self._cortex.settings.join_threshold)

    def _compete(self, put: Put) -> Outcome:
        settings = self._cortex.settings
        weights = self._weights(put.bits)
        candidates, shared = self._candidates(put.bits, weights)
        overlap, variant_of, winners = 0.0, -1, candidates[:1]
        if candidates.size:
            overlap = float(self._similarities(int(weights.sum()), shared[:1], candidates[:1])[0])
            winners = self._inhibited(candidates) if candidates.size > 1 else candidates
        kind = Kind.TAKE
        if overlap >= settings.join_threshold:
            kind, column = Kind.JOIN, int(winners[0])
            decision = Placing(kind, self._operation, put.id, column)
        else:
            if settings.radius and overlap >= settings.radius:
                variant_of = int(winners[0])
            column = self._free_column()
            decision = Placing(kind, self._operation, put.id, column, put.words, variant_of, put.bits)
        self._decide(decision)
        if kind == Kind.TAKE:
            record = ConceptRecord(
                put.id, column, put.bits, put.words, self._operation, variant_of, put.tags, put.dimension
            )
        else:
            record = self._record(put, column, self._operation)
        return Outcome(
            "allocated" if kind == Kind.TAKE else "joined", self._operation, column, overlap,
            record.variant_of, tuple(winners.tolist()), record,
        )  # fmt: skip

    def _free_column(self) -> int:
        free, capacity = self._overlay.free, self._cortex.settings.capacity
        if free.lowest(self._operation) >= capacity:
            raise CapacityError(
                f"All {capacity} columns of the cortex are taken or resting. Delete concepts, or use another"
                " cortex."
            )
        return free.take(self._operation)

    def _weights(self, bits: Bits) -> Ints:
        return weights_of(bits, self._overlay.counts(bits), self._overlay.occupied)

    def _candidates(self, bits: Bits, weights: Ints) -> tuple[Ints, Ints]:
        """Return the candidates and the weight they share, the strongest first."""
        settings = self._cortex.settings
        share = min(settings.radius, settings.join_threshold) if settings.radius else settings.join_threshold
        floor = max(1, int(np.ceil(share * int(weights.sum()))))
        found = self._cortex.searcher.search(
            bits.astype(np.int64), weights, limit=MAX_CANDIDATES, floor=floor, without=self._overlay.hidden
        )
        columns, scores = found.columns, found.scores
        words = self._cortex.arrays.words[columns]
        if int(weights[self._overlay.in_pending(bits)].sum()) >= floor:
            pending, rows = self._overlay.pending()
            shared = self._cortex.searcher.shared(bits, weights, rows)
            near = np.flatnonzero(shared >= floor)
            if near.size:
                columns = np.concatenate((columns, pending[near]))
                scores = np.concatenate((scores, shared[near]))
                words = np.concatenate((words, (rows[near] < WORD_BITS).sum(axis=1)))
                order = ranking(scores, words, columns, MAX_CANDIDATES)
                columns, scores = columns[order], scores[order]
        return columns, scores

    def _similarities(self, own: int, shared: Ints, columns: Ints) -> npt.NDArray[np.float64]:
        """Return the weighted Jaccard similarity of something that weighs `own` to columns."""
        similarities: npt.NDArray[np.float64] = shared / np.maximum(1, own + self._totals(columns) - shared)
        return similarities

    def _totals(self, columns: Ints) -> Ints:
        rows = self._overlay.rows(columns)
        totals: Ints = weights_of(rows, self._overlay.counts(rows), self._overlay.occupied).sum(axis=1)
        return totals

    def _inhibited(self, candidates: Ints) -> Ints:
        """Return the winners: candidates that no stronger winner suppresses."""
        settings = self._cortex.settings
        if not settings.radius:
            return candidates[: settings.winners]
        rows = self._overlay.rows(candidates)
        weights = weights_of(rows, self._overlay.counts(rows), self._overlay.occupied)
        totals = weights.sum(axis=1)
        alive = np.ones(candidates.size, dtype=bool)
        winners: list[int] = []
        while alive.any() and len(winners) < settings.winners:
            winner = int(alive.argmax())
            winners.append(winner)
            bits = rows[winner] != PAD
            shared = self._cortex.searcher.shared(rows[winner][bits], weights[winner][bits], rows)
            alive &= shared < settings.radius * np.maximum(1, totals + totals[winner] - shared)
            alive[winner] = False
        return candidates[winners]

    def _record(self, put: Put, column: int, operation: int) -> ConceptRecord:
        bits = self._overlay.bits_of(column)
        words = int(np.searchsorted(bits, WORD_BITS))
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
