"""Applying decisions: checked as a whole first, then stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortex_runtime.columns import states
from cortex_runtime.columns.arrays import Columns
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.following import Check, Group, NotFollowingError, in_order, split
from cortex_runtime.columns.states import State

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


def apply(cortex: Cortex, decisions: Decisions) -> None:
    """Apply decisions in the order of their operations.

    Raises NotFollowingError before anything is changed when they do not follow on the cortex's state.
    """
    if decisions.before != cortex.operations:
        raise NotFollowingError(
            f"decisions on operation {decisions.before}, the cortex is at {cortex.operations}"
        )
    ids = split(decisions.ids)
    Check(cortex).all(decisions, ids)
    _Run(cortex, decisions, ids).execute()
    cortex.operations = decisions.before + decisions.operations
    _end_refractoriness(cortex)


class _Run:
    """One batch: takes are collected, and stored together when something else needs them stored."""

    def __init__(self, cortex: Cortex, decisions: Decisions, ids: list[bytes]) -> None:
        self._cortex, self._decisions, self._ids = cortex, decisions, ids
        self._starts = np.concatenate(([0], np.cumsum(decisions.sizes, dtype=np.int64)))
        self._trait_ids = split(decisions.trait_ids)
        self._tag_starts = np.concatenate(([0], np.cumsum(decisions.trait_sizes, dtype=np.int64)))
        self._taken: list[int] = []
        self._joined: dict[int, int] = {}
        self._arrived: list[int] = []
        self._won: list[tuple[int, int]] = []

    def execute(self) -> None:
        """Apply what each operation decided: placings, describings, relatings."""
        decisions = self._decisions
        placings = list(
            zip(decisions.steps.tolist(), decisions.kinds.tolist(), decisions.columns.tolist(), strict=True)
        )
        numbers = [self._cortex.relationships.type_id(name) for name in decisions.types]
        edges = list(
            zip(
                decisions.edge_kinds.tolist(), split(decisions.sources), split(decisions.targets),
                [numbers[index] for index in decisions.edge_types.tolist()], decisions.weights.tolist(),
                strict=True,
            )
        )  # fmt: skip
        for group, index in in_order(decisions):
            if group == Group.PLACING:
                step, kind, column = placings[index]
                self._place(index, kind, column, decisions.before + step)
            elif group == Group.DESCRIBING:
                self._describe(index)
            else:
                self._relate(edges[index])
        self._store()
        won = np.array(sorted(self._won), dtype=np.int64).reshape(-1, 2)
        self._cortex.recent_wins = np.concatenate((self._cortex.recent_wins, won))

    def _place(self, index: int, kind: int, column: int, operation: int) -> None:
        concepts = self._cortex.concepts
        row = concepts.insert(self._ids[index])
        if kind == Kind.TAKE:
            _wake(self._cortex, operation)
            if self._cortex.free.rests_until(column) is not None:
                _set_free(self._cortex, np.array([column]))  # rests here alone: see Cortex.restore
            self._cortex.free.take(np.array([column]))
            self._taken.append(index)
        if kind == Kind.JOIN:
            self._joined[column] = operation
        if kind in (Kind.TAKE, Kind.JOIN):
            self._arrived.append(column)
            concepts.place(row, column, operation)
        else:
            self._store()
            self._leave(row, column, operation, gone=kind == Kind.DELETE)

    def _leave(self, row: int, column: int, operation: int, *, gone: bool) -> None:
        cortex = self._cortex
        cortex.concepts.displace(row)
        cortex.arrays.concepts[column] -= 1
        if not cortex.arrays.concepts[column]:
            self._empty(column, operation)
        if gone:
            cortex.properties.drop(row)
            for target in {*cortex.relationships.drop(row), row}:
                _forget_unless_needed(cortex, target)

    def _empty(self, column: int, operation: int) -> None:
        cortex, arrays = self._cortex, self._cortex.arrays
        bits = arrays.bits[column]
        cortex.postings.remove(column, bits[bits != PAD])
        cortex.columns -= 1
        arrays.clear(column)
        if not cortex.free.release(column, cortex.rests_until(column), operation):
            _set_free(cortex, np.array([column]))

    def _describe(self, index: int) -> None:
        decisions, cortex = self._decisions, self._cortex
        row = cortex.concepts.row_of(self._trait_ids[index])
        tags = decisions.tags[self._tag_starts[index] : self._tag_starts[index + 1]]
        cortex.properties.set(row, tags, int(decisions.trait_dimensions[index]))

    def _relate(self, edge: tuple[int, bytes, bytes, int, float]) -> None:
        cortex = self._cortex
        kind, source, target, number, weight = edge
        rows = cortex.concepts.insert(source), cortex.concepts.insert(target)
        if kind == Kind.RELATE:
            cortex.relationships.set(*rows, number, weight)
        else:
            cortex.relationships.remove(*rows, number)
            _forget_unless_needed(cortex, rows[1])

    def _store(self) -> None:
        if self._taken:
            self._store_taken()
        if self._joined:
            columns = np.fromiter(self._joined, dtype=np.int64)
            arrays = self._cortex.arrays
            states.pass_through(arrays.states, columns, states.WIN, states.WIN_AGAIN)
            arrays.last_operation[columns] = list(self._joined.values())
            self._won += [(operation, column) for column, operation in self._joined.items()]
            self._joined.clear()
        if self._arrived:
            np.add.at(self._cortex.arrays.concepts, self._arrived, 1)
            self._arrived.clear()

    def _store_taken(self) -> None:
        decisions, cortex, arrays = self._decisions, self._cortex, self._cortex.arrays
        taken = np.array(self._taken)
        self._taken.clear()
        columns = decisions.columns[taken].astype(np.int64)
        arrays.make_room(int(columns.max()) + 1)
        states.pass_through(arrays.states, columns, states.TAKE)
        sizes = decisions.sizes[taken].astype(np.int64)
        rows = np.full((taken.size, MAX_BITS), PAD, dtype=np.uint16)
        places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows[np.repeat(np.arange(taken.size), sizes), places] = decisions.bits[
            np.repeat(self._starts[taken], sizes) + places
        ]
        operations = decisions.before + decisions.steps[taken].astype(np.int64)
        arrays.bits[columns] = rows
        arrays.words[columns] = decisions.words[taken]
        arrays.variant_of[columns] = decisions.variant_of[taken]
        arrays.last_operation[columns] = operations
        cortex.postings.add(columns, rows)
        cortex.columns += taken.size
        self._won += zip(operations.tolist(), columns.tolist(), strict=True)


def _set_free(cortex: Cortex, freed: Columns) -> None:
    arrays = cortex.arrays
    refractory = freed[arrays.states[freed] == State.REFRACTORY]
    states.pass_through(arrays.states, refractory, states.REST)
    states.pass_through(arrays.states, freed, states.FREE)
    arrays.last_operation[freed] = 0


def _wake(cortex: Cortex, operation: int) -> None:
    woken = cortex.free.wake(operation)
    if woken.size:
        _set_free(cortex, woken)


def _end_refractoriness(cortex: Cortex) -> None:
    """End the refractory time of winners whose operations have passed."""
    _wake(cortex, cortex.operations + 1)
    arrays, latest = cortex.arrays, cortex.operations - cortex.settings.refractory
    past = cortex.recent_wins[:, 0] <= latest
    if past.any():
        wins, cortex.recent_wins = cortex.recent_wins[past], cortex.recent_wins[~past]
        columns = wins[:, 1][arrays.last_operation[wins[:, 1]] == wins[:, 0]]
        columns = columns[(arrays.concepts[columns] > 0) & (arrays.states[columns] == State.REFRACTORY)]
        states.pass_through(arrays.states, np.unique(columns), states.REST)


def _forget_unless_needed(cortex: Cortex, row: int) -> None:
    incoming = cortex.relationships.incoming
    if cortex.concepts.columns[row] == NOWHERE and (row >= incoming.size or not incoming[row]):
        cortex.concepts.discard(row)
