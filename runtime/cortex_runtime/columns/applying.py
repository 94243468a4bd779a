"""Applying decisions: checked as a whole first, then stored.

Concepts that come to columns, get properties or are related, in whatever order, are stored many at a time.
What takes something away (RELEASE, DELETE, UNRELATE) is done by itself, between what comes before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cortex_runtime.columns import arriving, states
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.following import Placings, check, check_reach
from cortex_runtime.columns.identifiers import NO_ROW, Rows
from cortex_runtime.columns.states import State

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

_FEW = 8  # concepts that are described sooner one by one
# Names of an IntEnum take a microsecond each to look up.
_TAKE, _JOIN, _RELEASE, _DELETE, _UNRELATE = map(
    int, (Kind.TAKE, Kind.JOIN, Kind.RELEASE, Kind.DELETE, Kind.UNRELATE)
)
_REFRACTORY = int(State.REFRACTORY)


def apply(cortex: Cortex, decisions: Decisions) -> None:
    """Apply decisions in the order of their operations.

    Raises NotFollowingError before anything is changed when they do not follow on the cortex's state.
    """
    check_reach(cortex, decisions)
    if arriving.is_alone(decisions):
        won = arriving.arrive(cortex, decisions)
    else:
        placings = check(cortex, decisions)
        _Application(cortex, decisions, placings).execute()
        won = _wins(placings)
    cortex.operations = decisions.before + decisions.operations
    _end_refractoriness(cortex, won)


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
        types = [cortex.relationships.type_id(name) for name in decisions.types]
        self._types = np.array(types, dtype=np.int64)

    def execute(self) -> None:
        """Apply what each operation decided: placings, describings, relatings."""
        decisions, placings, begin = self._decisions, self._placings, _BEGIN
        for end, leaving, earlier in _removals(decisions, placings):
            if leaving and placings.kinds[end.placings] == _RELEASE and earlier < begin.placings:
                self._leave(end.placings)  # changes nothing for those who came in this part, to other columns
                continue
            self._add(begin, end)
            if leaving:
                self._leave(end.placings)
                begin = end._replace(placings=end.placings + 1)
            else:
                self._unrelate(end.relatings)
                begin = end._replace(relatings=end.relatings + 1)
        sizes = decisions.kinds.size, decisions.trait_steps.size, decisions.edge_steps.size
        self._add(begin, _Place(*sizes))

    def _add(self, begin: _Place, end: _Place) -> None:
        """Do what adds something, from one place to another: what leaves there has left already."""
        if begin == end:
            return
        rows, targets = self._insert(begin, end)
        if rows.size:
            self._arrive(self._placings.part(begin.placings, end.placings).arriving_in(rows))
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
                steps = decisions.steps[placed], decisions.edge_steps[related]
                order = np.argsort(np.concatenate(steps), kind="stable")
                both = np.concatenate((ids, decisions.targets[related]))[order]
                rows = np.empty(order.size, dtype=np.int64)
                rows[order] = concepts.insert_named(both, concepts.name(both))
                return rows[: names.size], rows[names.size :]
        if names.size:
            names = concepts.insert_named(ids, names if begin == _BEGIN else concepts.name(ids))
        return names, targets

    def _arrive(self, arrivals: Placings) -> None:
        cortex, arrays, columns = self._cortex, self._cortex.arrays, arrivals.columns
        if not columns.size:
            return
        end = int(columns.max()) + 1
        arrays.make_room(end)
        cortex.concepts.make_columns(end)
        taking = arrivals.kinds == _TAKE
        taken = columns[taking]
        if taken.size:
            cortex.set_free(cortex.free.take(taken))  # what rests on this replica alone: see Cortex.restore
            states.pass_through(arrays.states, taken, states.TAKE)
        if taken.size < columns.size:
            states.pass_through(arrays.states, columns[~taking], states.WIN)
        cortex.kernels.applying.store(cortex, arrivals)
        if taken.size:
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
        if placings.kinds[place] == _DELETE:
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
            cortex.set_free(np.array([column]))

    def _describe(self, part: slice) -> None:
        decisions, properties = self._decisions, self._cortex.properties
        rows = self._cortex.concepts.rows_of(decisions.trait_ids[part])
        sizes, dimensions = decisions.trait_sizes[part].astype(np.int64), decisions.trait_dimensions[part]
        start = int(decisions.trait_sizes[: part.start].sum())
        tags = decisions.tags[start : start + int(sizes.sum())]
        if rows.size > _FEW:
            properties.set_many(rows, sizes, tags, dimensions)
            return
        parts = np.split(tags, np.cumsum(sizes[:-1]))
        for row, each, dimension in zip(rows.tolist(), parts, dimensions.tolist(), strict=True):
            properties.set(row, each, dimension)

    def _relate(self, part: slice, targets: Rows) -> None:
        decisions = self._decisions
        sources = self._cortex.concepts.rows_of(decisions.sources[part])
        types = self._types[decisions.edge_types[part]]
        self._cortex.relationships.set_many(
            sources, targets, types, decisions.weights[part].astype(np.float32)
        )

    def _unrelate(self, place: int) -> None:
        cortex, decisions = self._cortex, self._decisions
        source = cortex.concepts.insert(decisions.sources[place].tobytes())
        target = cortex.concepts.insert(decisions.targets[place].tobytes())
        cortex.relationships.remove(source, target, self._types.item(int(decisions.edge_types[place])))
        _forget_unless_needed(cortex, target)


def _removals(decisions: Decisions, placings: Placings) -> list[tuple[_Place, bool, int]]:
    """Return where decisions take something away, in their order.

    For each whether a concept leaves there, and, then, the latest place before where it, or another one,
    came to the column, -1 none.
    """
    found = []
    if decisions.edge_kinds.size and decisions.edge_kinds.max() == _UNRELATE:
        places = np.flatnonzero(decisions.edge_kinds == _UNRELATE)
        at = decisions.edge_steps[places]
        before = [
            np.searchsorted(each, at, side="right") for each in (decisions.steps, decisions.trait_steps)
        ]
        found += [
            (_Place(*each), False, -1) for each in zip(*(x.tolist() for x in (*before, places)), strict=True)
        ]
    if decisions.kinds.size and decisions.kinds.max() > _JOIN:
        places = np.flatnonzero(decisions.kinds > _JOIN)
        at = decisions.steps[places]
        before = [np.searchsorted(each, at) for each in (decisions.trait_steps, decisions.edge_steps)]
        found += [
            (_Place(*each), True, earlier)
            for *each, earlier in zip(
                places.tolist(), *(x.tolist() for x in before), _earlier_arrivals(placings), strict=True
            )
        ]
    return sorted(found)


def _earlier_arrivals(placings: Placings) -> list[int]:
    """Return for each RELEASE or DELETE the latest TAKE or JOIN of its concept or column before, or -1."""
    on: dict[int, int] = {}
    of: dict[int, int] = {}
    earlier = []
    for place, (kind, column, concept) in enumerate(
        zip(placings.kinds.tolist(), placings.columns.tolist(), placings.concepts.tolist(), strict=True)
    ):
        if kind > _JOIN:
            earlier.append(max(on.get(column, -1), of.get(concept, -1)))
        else:
            on[column] = of[concept] = place
    return earlier


def _wins(placings: Placings) -> Rows:
    """Return (operation, column) int64[n, 2] of each TAKE and JOIN."""
    (won,) = (placings.kinds <= _JOIN).nonzero()
    wins = np.empty((won.size, 2), dtype=np.int64)
    wins[:, 0], wins[:, 1] = placings.operations[won], placings.columns[won]
    return wins


def _end_refractoriness(cortex: Cortex, won: Rows) -> None:
    """End the rest of empty columns, and the refractory time of winners, whose operations have passed."""
    cortex.set_free(cortex.free.wake(cortex.operations + 1))
    wins, latest = cortex.recent_wins, cortex.operations - cortex.settings.refractory
    if won.size:
        wins = np.concatenate((wins, won))
    over = int(wins[:, 0].searchsorted(latest, side="right"))
    cortex.recent_wins = wins[over:]
    if over:
        arrays, columns = cortex.arrays, wins[:over, 1]
        columns = columns[arrays.last_operation[columns] == wins[:over, 0]]
        columns = columns[(arrays.concepts[columns] > 0) & (arrays.states[columns] == _REFRACTORY)]
        states.pass_through(arrays.states, columns, states.REST)


def _forget_unless_needed(cortex: Cortex, row: int) -> None:
    incoming = cortex.relationships.incoming
    if cortex.concepts.columns[row] == NOWHERE and (row >= incoming.size or not incoming[row]):
        cortex.concepts.discard(row)
