"""Applying decisions: checked as a whole first, then stored.

Concepts that come to columns, get properties or are related, in whatever order, are stored many at a time.
What takes something away (RELEASE, DELETE, UNRELATE) is done by itself, between what comes before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cortex_runtime.columns import states
from cortex_runtime.columns.arrays import Columns
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.following import Placings, check
from cortex_runtime.columns.identifiers import NO_ROW, Rows
from cortex_runtime.columns.states import State

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


def apply(cortex: Cortex, decisions: Decisions) -> None:
    """Apply decisions in the order of their operations.

    Raises NotFollowingError before anything is changed when they do not follow on the cortex's state.
    """
    placings = check(cortex, decisions)
    _Application(cortex, decisions, placings).execute()
    cortex.operations = decisions.before + decisions.operations
    _wake(cortex)
    _end_refractoriness(cortex, placings)


class _Place(NamedTuple):
    """How many placings, describings and relatings are before something."""

    placings: int
    describings: int
    relatings: int


_BEGIN = _Place(0, 0, 0)


class _Application:
    """One batch."""

    def __init__(self, cortex: Cortex, decisions: Decisions, placings: Placings) -> None:
        self._cortex, self._decisions, self._placings = cortex, decisions, placings
        self._types = [cortex.relationships.type_id(name) for name in decisions.types]

    def execute(self) -> None:
        """Apply what each operation decided: placings, describings, relatings."""
        decisions, begin = self._decisions, _BEGIN
        for end, leaving in _removals(decisions):
            self._add(begin, end)
            if leaving:
                self._leave(end.placings)
                begin = end._replace(placings=end.placings + 1)
            else:
                self._unrelate(end.relatings)
                begin = end._replace(relatings=end.relatings + 1)
        self._add(begin, _Place(decisions.kinds.size, decisions.trait_steps.size, decisions.edge_steps.size))

    def _add(self, begin: _Place, end: _Place) -> None:
        rows, targets = self._insert(begin, end)
        if rows.size:
            self._arrive(self._placings.part(begin.placings, end.placings).in_rows(rows))
        if end.describings > begin.describings:
            self._describe(slice(begin.describings, end.describings))
        if targets.size:
            self._relate(slice(begin.relatings, end.relatings), targets)

    def _insert(self, begin: _Place, end: _Place) -> tuple[Rows, Rows]:
        """Return the rows of concepts that come, and of targets: new ones in the order in which they come."""
        concepts, decisions = self._cortex.concepts, self._decisions
        placed, related = slice(begin.placings, end.placings), slice(begin.relatings, end.relatings)
        ids, names = decisions.ids[placed], self._placings.concepts[placed]
        targets = names[:0]
        if end.relatings > begin.relatings:
            targets = concepts.rows_of(decisions.targets[related])
        if (targets == NO_ROW).any():
            order = np.argsort(
                np.concatenate((decisions.steps[placed], decisions.edge_steps[related])), kind="stable"
            )
            both = np.concatenate((ids, decisions.targets[related]))[order]
            rows = np.empty(order.size, dtype=np.int64)
            rows[order] = concepts.insert_named(both, concepts.name(both))
            return rows[: names.size], rows[names.size :]
        if begin != _BEGIN:
            names = concepts.name(ids)
        return concepts.insert_named(ids, names), targets

    def _arrive(self, arrivals: Placings) -> None:
        cortex, arrays, columns = self._cortex, self._cortex.arrays, arrivals.columns
        end = int(columns.max()) + 1
        arrays.make_room(end)
        cortex.concepts.make_columns(end)
        taking = arrivals.kinds == Kind.TAKE
        taken = columns[taking]
        _set_free(cortex, cortex.free.take(taken))  # what rests on this replica alone: see Cortex.restore
        states.pass_through(arrays.states, taken, states.TAKE)
        states.pass_through(arrays.states, columns[~taking], states.WIN)
        cortex.kernels.applying.store(cortex, arrivals)
        cortex.postings.add(taken, arrays.bits[taken])
        cortex.columns += taken.size

    def _leave(self, place: int) -> None:
        cortex, placings = self._cortex, self._placings
        column, operation = placings.columns.item(place), placings.operations.item(place)
        row = cortex.concepts.row_of(self._decisions.ids[place].tobytes())
        cortex.concepts.displace(row)
        cortex.arrays.concepts[column] -= 1
        if not cortex.arrays.concepts[column]:
            self._empty(column, operation)
        if placings.kinds[place] == Kind.DELETE:
            cortex.properties.drop(row)
            for target in sorted({*cortex.relationships.drop(row), row}):
                _forget_unless_needed(cortex, target)

    def _empty(self, column: int, operation: int) -> None:
        cortex, arrays = self._cortex, self._cortex.arrays
        bits = arrays.bits[column]
        cortex.postings.remove(column, bits[bits != PAD])
        cortex.columns -= 1
        arrays.clear(column)
        if not cortex.free.release(column, cortex.rests_until(column), operation):
            _set_free(cortex, np.array([column]))

    def _describe(self, part: slice) -> None:
        decisions, cortex = self._decisions, self._cortex
        sizes = decisions.trait_sizes.astype(np.int64)
        start = int(sizes[: part.start].sum())
        sizes = sizes[part]
        cortex.properties.set_many(
            cortex.concepts.rows_of(decisions.trait_ids[part]),
            sizes,
            decisions.tags[start : start + int(sizes.sum())],
            decisions.trait_dimensions[part],
        )

    def _relate(self, part: slice, targets: Rows) -> None:
        decisions, relationships = self._decisions, self._cortex.relationships
        sources = self._cortex.concepts.rows_of(decisions.sources[part])
        for source, target, index, weight in zip(
            sources.tolist(), targets.tolist(), decisions.edge_types[part].tolist(),
            decisions.weights[part].tolist(), strict=True,
        ):  # fmt: skip
            relationships.set(source, target, self._types[index], weight)

    def _unrelate(self, place: int) -> None:
        cortex, decisions = self._cortex, self._decisions
        source = cortex.concepts.insert(decisions.sources[place].tobytes())
        target = cortex.concepts.insert(decisions.targets[place].tobytes())
        cortex.relationships.remove(source, target, self._types[int(decisions.edge_types[place])])
        _forget_unless_needed(cortex, target)


def _removals(decisions: Decisions) -> list[tuple[_Place, bool]]:
    """Return where decisions take something away, in their order, and whether a concept leaves there."""
    leaves = np.flatnonzero(decisions.kinds > Kind.JOIN)
    unrelates = np.flatnonzero(decisions.edge_kinds == Kind.UNRELATE)
    if not leaves.size and not unrelates.size:
        return []
    steps, unrelated = decisions.steps[leaves], decisions.edge_steps[unrelates]
    placings = (
        leaves,
        np.searchsorted(decisions.trait_steps, steps),
        np.searchsorted(decisions.edge_steps, steps),
    )
    relatings = (
        np.searchsorted(decisions.steps, unrelated, side="right"),
        np.searchsorted(decisions.trait_steps, unrelated, side="right"),
        unrelates,
    )
    found = [(_Place(*each), True) for each in zip(*(part.tolist() for part in placings), strict=True)]
    found += [(_Place(*each), False) for each in zip(*(part.tolist() for part in relatings), strict=True)]
    return sorted(found)


def _set_free(cortex: Cortex, freed: Columns) -> None:
    if freed.size:
        states.pass_through(cortex.arrays.states, freed, states.FREE)
        cortex.arrays.last_operation[freed] = 0


def _wake(cortex: Cortex) -> None:
    """Free the empty columns that have rested when the next operation comes."""
    _set_free(cortex, cortex.free.wake(cortex.operations + 1))


def _end_refractoriness(cortex: Cortex, placings: Placings) -> None:
    """End the refractory time of winners whose operations have passed."""
    won = placings.kinds <= Kind.JOIN
    new = np.stack((placings.operations[won], placings.columns[won]), axis=1)
    wins = np.concatenate((cortex.recent_wins, new))
    over = int(np.searchsorted(wins[:, 0], cortex.operations - cortex.settings.refractory, side="right"))
    cortex.recent_wins = wins[over:].copy()
    if over:
        arrays, (operations, columns) = cortex.arrays, wins[:over].T
        columns = columns[arrays.last_operation[columns] == operations]
        columns = columns[(arrays.concepts[columns] > 0) & (arrays.states[columns] == State.REFRACTORY)]
        states.pass_through(arrays.states, columns, states.REST)


def _forget_unless_needed(cortex: Cortex, row: int) -> None:
    incoming = cortex.relationships.incoming
    if cortex.concepts.columns[row] == NOWHERE and (row >= incoming.size or not incoming[row]):
        cortex.concepts.discard(row)
