"""Consolidation: what is tidied up in the background, in small items, while nothing that is asked changes.

Nothing that replicas share is changed here: near-duplicates are only proposed, as operations for the owner.
"""

from __future__ import annotations

import math
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.arrays import HALF_LIFE
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.model import NEAR_DUPLICATE, Relate
from cortex_runtime.columns.relationships import NEAR_DUPLICATES

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

_HALVINGS = 25  # of an activation that is no more than a few wins: less than half of what float32 adds to 1
_SWEEP = 8192  # operations between two sweeps
_COLUMNS = 1 << 16  # of an item of a sweep
_CANDIDATES = 64  # columns that share the most weight with one: their similarity is looked at
_LINKS = 8  # proposed for a column at most
_POSTINGS = 1 << 14  # that the search for a column's near-duplicates visits at most
_RARE, _RARE_SHARE = 1000, 128  # a bit that so many columns have, or one in so many, has a list, no bitmap
_TAKE = int(Kind.TAKE)
_LOOK_BACK = 16_384  # operations: columns that were taken before are not looked at after a restart
_UNHEARD = 256  # proposals that wait before no more are made
_CONCEPTS = 64  # of a column that are looked at


Rows = npt.NDArray[np.int64]


class Task(Protocol):
    """A kind of work. An item takes a millisecond or two at most."""

    def backlog(self) -> int:
        """Return how many items can be done now."""

    def step(self) -> bool:
        """Do an item; tell whether there was one."""


class Consolidation:
    """The work of one cortex."""

    def __init__(self, cortex: Cortex) -> None:
        self._near_duplicates = NearDuplicates(cortex)
        self._tasks = deque[Task]((Index(cortex), Merging(cortex), Decay(cortex), self._near_duplicates))

    @property
    def proposing(self) -> bool:
        """Tell whether near-duplicates are looked for: only by the owner, for it alone can relate them."""
        return self._near_duplicates.looking

    @proposing.setter
    def proposing(self, proposing: bool) -> None:
        self._near_duplicates.looking = proposing

    def backlog(self) -> int:
        """Return how many items wait."""
        return sum(task.backlog() for task in self._tasks)

    def step(self, seconds: float) -> int:
        """Do items, of each kind in turn, for about so long, at least one; return how many were done."""
        end, done, idle = perf_counter() + seconds, 0, 0
        while idle < len(self._tasks) and (not done or perf_counter() < end):
            if self._tasks[0].step():
                done, idle = done + 1, 0
            else:
                idle += 1
            self._tasks.rotate(-1)
        return done

    def notice(self, decisions: Decisions) -> None:
        """Remember what decisions that were applied leave to do."""
        self._near_duplicates.notice(decisions)

    def proposals(self, limit: int) -> list[Relate]:
        """Return, and forget, the first relationships that are proposed."""
        return self._near_duplicates.proposals(limit)


class Index:
    """Lists of the index become bitmaps and back, or move to rooms that fit: a bit is an item."""

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex

    def backlog(self) -> int:
        """Return how many bits have another form than they should."""
        return self._cortex.postings.backlog()

    def step(self) -> bool:
        """Give one of them the form it should have."""
        return self._cortex.postings.tidy()


class Merging:
    """New relationships are merged into compressed rows, a piece is an item."""

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex

    def backlog(self) -> int:
        """Return about how many pieces are left of the merge that is due."""
        return self._cortex.relationships.waiting()

    def step(self) -> bool:
        """Merge a piece."""
        due = self.backlog() > 0
        if due:
            self._cortex.relationships.step()
        return due


class Decay:
    """Activations that are too small to count are ended. Some columns of a sweep over all are an item.

    Of an activation, what is left at the next win is added to 1. What is ended is so small that the sum is 1
    in any case: replicas may sweep at different times, and have the same arrays after the next win.
    """

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        self._next = _SWEEP
        self._at = 0

    def backlog(self) -> int:
        """Return how many items are left of the sweep that is due."""
        left = self._cortex.arrays.activation.size - self._at
        return -(-left // _COLUMNS) if self._cortex.operations >= self._next else 0

    def step(self) -> bool:
        """Sweep over the next columns."""
        if not self.backlog():
            return False
        arrays, part = self._cortex.arrays, slice(self._at, self._at + _COLUMNS)
        halvings = (self._cortex.operations - arrays.last_operation[part]) // HALF_LIFE
        left = np.ldexp(arrays.activation[part], -np.minimum(halvings, 200).astype(np.int32))
        arrays.activation[part][left < 0.5**_HALVINGS] = 0
        self._at += _COLUMNS
        if self._at >= arrays.activation.size:
            self._at, self._next = 0, self._cortex.operations + _SWEEP
        return True


class NearDuplicates:
    """Columns that were taken are compared with those most like them, once they rest no more: each an item.

    When one is as similar to an earlier one as inhibition demands, and neither its variant nor linked to it
    already, a relationship between a concept of each is proposed.
    """

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        # Since which operation columns wait, ascending, and which: those from _first to _end.
        self._since, self._columns = np.zeros((2, 0), dtype=np.int64)
        self._first = self._end = 0
        self._begun = False
        self._proposals = deque[Relate]()
        self.looking = False

    def notice(self, decisions: Decisions) -> None:
        """Let the columns that decisions took wait, once they were applied."""
        taken = decisions.kinds == _TAKE
        operations = decisions.before + decisions.steps[taken].astype(np.int64)
        if self._begun or not decisions.before:
            self._begun = True
            self._wait(operations, decisions.columns[taken].astype(np.int64))
        else:
            self._begin()
        if not self.looking:  # another node does; take over from it what it may not have seen
            waiting = self._since[self._first : self._end]
            self._first += int(waiting.searchsorted(self._cortex.operations - _LOOK_BACK))

    def backlog(self) -> int:
        """Return how many columns wait and rest no more."""
        if not self.looking or not self._cortex.settings.radius:
            return 0
        if not self._begun:
            self._begin()
        rested = self._cortex.operations - self._cortex.settings.refractory
        return int(self._since[self._first : self._end].searchsorted(rested, side="right"))

    def step(self) -> bool:
        """Compare the column that waits for longest; not while many proposals are not asked for."""
        if len(self._proposals) >= _UNHEARD or not self.backlog():
            return False
        cortex, column = self._cortex, self._columns.item(self._first)
        self._first += 1
        if cortex.rests_until(column) > cortex.operations:  # it has won again
            self._wait(np.array([cortex.operations]), np.array([column]))
        else:
            self._propose(column)
        return True

    def proposals(self, limit: int) -> list[Relate]:
        """Return, and forget, the first relationships that are proposed."""
        return [self._proposals.popleft() for _ in range(min(limit, len(self._proposals)))]

    def _begin(self) -> None:
        """Let the columns wait that were taken lately, by what the arrays tell after a restart."""
        self._begun = True
        wins = self._cortex.arrays.last_operation
        lately = np.flatnonzero(wins > max(0, self._cortex.operations - _LOOK_BACK))
        lately = lately[np.argsort(wins[lately], kind="stable")]
        self._wait(wins[lately], lately)

    def _wait(self, operations: Rows, columns: Rows) -> None:
        if self._end + columns.size > self._since.size:
            held = slice(self._first, self._end)
            self._since, self._columns = self._since[held].copy(), self._columns[held].copy()
            self._first, self._end = 0, self._since.size
            self._since = grown(self._since, self._end + columns.size)
            self._columns = grown(self._columns, self._end + columns.size)
        added = slice(self._end, self._end + columns.size)
        self._since[added], self._columns[added] = operations, columns
        self._end = added.stop

    def _propose(self, column: int) -> None:
        concepts = self._cortex.concepts
        mine = np.array(concepts.on(column, _CONCEPTS), dtype=np.int64)
        known = self._linked_to(mine) | {int(self._cortex.arrays.variant_of[column])}
        links = 0
        for other, similarity in self._alike(column):
            theirs = concepts.on(other, _CONCEPTS)
            earlier = concepts.operations[theirs[-1]] < concepts.operations[mine[-1]]
            if earlier and other not in known and links < _LINKS:
                source, target = concepts.id_of(mine[-1]), concepts.id_of(theirs[-1])
                self._proposals.append(Relate(source, target, NEAR_DUPLICATE, similarity))
                links += 1

    def _linked_to(self, rows: Rows) -> set[int]:
        """Return the columns of which concepts in rows are near-duplicates by a relationship."""
        edges = self._cortex.relationships.leaving(rows)
        linked = edges.targets[edges.types == NEAR_DUPLICATES]
        return set(self._cortex.concepts.columns[linked].tolist())

    def _alike(self, column: int) -> list[tuple[int, float]]:
        """Return columns that are as similar as the radius, the most similar first, with how much.

        Only those are found that share rare bits; for a column that has none but common bits, nothing is.
        """
        cortex, searcher = self._cortex, self._cortex.searcher
        row = cortex.arrays.bits[column]
        bits = row[row != PAD].astype(np.int64)
        weights = searcher.weights(bits, cortex.columns)
        own = int(weights.sum())
        floor = max(1, math.ceil(cortex.settings.radius * own))
        rare = self._rarest(bits, weights)
        others = own - int(weights[rare].sum())
        without = np.array([column], dtype=np.int64)
        found = searcher.search(
            bits[rare], weights[rare], limit=_CANDIDATES, floor=max(1, floor - others), without=without
        ).columns
        rows = cortex.arrays.bits[found]
        shared = searcher.shared(bits, weights, rows)
        totals = (
            searcher.weights(rows.ravel().astype(np.int64), cortex.columns).reshape(rows.shape).sum(axis=1)
        )
        similarities = shared / np.maximum(1, own + totals - shared)
        order = np.argsort(-similarities, kind="stable")
        alike = order[similarities[order] >= cortex.settings.radius]
        return list(zip(found[alike].tolist(), similarities[alike].tolist(), strict=True))

    def _rarest(self, bits: Rows, weights: Rows) -> Rows:
        """Return the places of bits that are not common, the cheapest for their weight, within the budget."""
        counts = self._cortex.postings.counts[bits].astype(np.int64)
        order = np.argsort(counts / np.maximum(1, weights), kind="stable")
        order = order[counts[order] <= max(_RARE, self._cortex.columns // _RARE_SHARE)]
        return np.sort(order[np.cumsum(counts[order]) <= _POSTINGS])
