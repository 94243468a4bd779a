"""Exact search: the columns that share the most weight with a query (MaxScore, Turtle and Flood 1995).

A bit weighs by its information, from live counts. Lists are visited in order of weight by length; once what
is left to visit cannot lift an unseen column to the worst of the best, the rest is only looked up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.arrays import ColumnArrays
from cortex_runtime.columns.encoding import BITS, PAD, WORD_BITS
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.postings import Postings

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
_WORD_STEPS, _GRAM_STEPS = 10.0, 2.5
_FIRST_CHUNK = 1024
_REST_WORTH_A_BOUND = 2048
_FEW = 4
_POSTINGS_A_ROW = 10
_NOBODY = np.zeros(0, dtype=np.int64)


def weights_of(bits: npt.NDArray[np.integer], counts: npt.NDArray[np.integer], columns: int) -> Ints:
    """Return the weights (0-255) of bits that so many of the columns have; PAD weighs nothing.

    w = round(10 · a · log2((columns + 1) / (count + 0.5))), a = 1 for words and 0.25 for n-grams.
    """
    information = math.log2(columns + 1) - np.log2(counts + 0.5)
    steps = np.where(bits < WORD_BITS, _WORD_STEPS, np.where(bits == PAD, 0.0, _GRAM_STEPS))
    weights: Ints = np.clip(np.rint(information * steps), 0, 255).astype(np.int64)
    return weights


def ranking(scores: Ints, words: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Ints:
    """Return the order of columns: most shared weight, then fewest words, then lowest number."""
    return np.lexsort((columns, words, -scores))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Columns int64 and the weight each shares int64, best first. capped: maybe not the best."""

    columns: Ints
    scores: Ints
    capped: bool = False


class Searcher:
    """Searches the columns of one cortex; holds scratch arrays, so one search at a time."""

    def __init__(self, arrays: ColumnArrays, postings: Postings) -> None:
        self._arrays, self._postings = arrays, postings
        self._sums = np.zeros(0, dtype=np.uint16)
        self._table = np.zeros(BITS, dtype=np.uint8)

    def shared(self, bits: npt.NDArray[np.integer], weights: Ints, rows: Rows) -> Ints:
        """Return the weight that rows of bits uint16[n, 40] share with a query."""
        self._table[bits] = weights
        sums: Ints = self._table[rows].sum(axis=1, dtype=np.int64)
        self._table[bits] = 0
        return sums

    def search(
        self,
        bits: Ints,
        weights: Ints,
        *,
        limit: int,
        floor: int = 1,
        without: Ints = _NOBODY,
        budget: int | None = None,
    ) -> Found:
        """Return the best `limit` columns that share at least `floor` with a query, exactly.

        bits and weights are int64[n]. Columns in `without` (ascending) are not seen. With a budget, at most
        so many postings are visited, and the answer says when it could not be proved.
        """
        lengths = self._postings.counts[bits]
        useful = np.flatnonzero((lengths > 0) & (weights > 0))
        rest = int(weights[useful].sum())
        if rest < floor:
            return Found(_NOBODY, _NOBODY)
        useful = useful[np.argsort(lengths[useful] / weights[useful], kind="stable")]
        walk = _Walk(self, bits, weights, useful, limit, max(floor, 1), without, budget)
        self._sums = grown(self._sums, self._arrays.states.size)
        self._table[bits] = weights
        try:
            return walk.run()
        finally:
            self._table[bits] = 0
            for part in walk.visited:
                self._sums[part] = 0


class _Walk:
    """One search: the lists it has visited, the bound it knows, what is left."""

    def __init__(
        self,
        searcher: Searcher,
        bits: Ints,
        weights: Ints,
        useful: Ints,
        limit: int,
        floor: int,
        without: Ints,
        budget: int | None,
    ) -> None:
        self._arrays = searcher._arrays
        self._sums, self._table = searcher._sums, searcher._table
        self._searcher = searcher
        self._lists = searcher._postings.lists(bits[useful])
        self._weights = weights[useful].tolist()
        self._rest = sum(self._weights)
        self._limit, self._bound, self._without = limit, floor, without
        self._left = budget
        self._next = 0
        self.visited: list[npt.NDArray[np.int32]] = []
        self._seen = np.zeros(0, dtype=np.int32)

    def run(self) -> Found:
        """Visit lists until nothing unseen can be among the best, then score what was seen."""
        self._sums = self._searcher._sums
        chunk = _FIRST_CHUNK
        stopped = False
        while self._next < len(self._lists) and self._rest >= self._bound and not stopped:
            stopped = self._visit(chunk)
            chunk *= 4
            if self._rest >= self._bound and self._remaining() > _REST_WORTH_A_BOUND:
                self._raise_bound(self._seen)
        found = self._best(self._narrowed(finish=not stopped))
        proved = not stopped or self._rest < self._bound_by(found.scores)
        return Found(found.columns, found.scores, capped=not proved)

    def _visit(self, chunk: int) -> bool:
        """Visit lists with about `chunk` postings; tell whether the budget ended."""
        lists: list[npt.NDArray[np.int32]] = []
        weights: list[int] = []
        size, stopped = 0, False
        while self._next < len(self._lists) and (not lists or size + len(self._lists[self._next]) <= chunk):
            postings, weight = self._lists[self._next], self._weights[self._next]
            if self._left is not None and len(postings) > self._left:
                postings, stopped = postings[: self._left], True
            else:
                self._rest -= weight
                self._next += 1
            lists.append(postings)
            weights.append(weight)
            size += len(postings)
            if self._left is not None:
                self._left -= len(postings)
            if stopped or self._rest < self._bound:
                break
        self._accumulate(lists, weights)
        return stopped

    def _accumulate(self, lists: list[npt.NDArray[np.int32]], weights: list[int]) -> None:
        if len(lists) == 1:
            columns = lists[0]
            before = self._sums[columns]
            fresh = columns[before == 0]
            self._sums[columns] = before + weights[0]
        else:
            columns = np.concatenate(lists)
            fresh = columns[self._sums[columns] == 0]
            amounts = np.repeat(np.array(weights, dtype=np.uint16), [len(part) for part in lists])
            np.add.at(self._sums, columns, amounts)
            fresh = _distinct(fresh)
        self.visited.append(fresh)
        if self._without.size:
            fresh = fresh[~np.isin(fresh, self._without)]
        self._seen = np.concatenate((self._seen, fresh)) if self._seen.size else fresh

    def _narrowed(self, *, finish: bool) -> npt.NDArray[np.int32]:
        """Return the seen columns that may be among the best.

        Fetching a row costs as much as visiting some postings, so short lists are finished first: they
        add nobody, they only part the candidates.
        """
        candidates = self._possible(self._seen)
        if candidates.size > _FEW * self._limit:
            self._raise_bound(candidates)
            candidates = self._possible(candidates)
        while finish and self._next < len(self._lists):
            postings = self._lists[self._next]
            if len(postings) > _POSTINGS_A_ROW * (candidates.size - _FEW):
                break
            before = self._sums[postings]
            self.visited.append(postings[before == 0])
            self._sums[postings] = before + self._weights[self._next]
            self._rest -= self._weights[self._next]
            self._next += 1
            candidates = self._possible(candidates)
        return candidates

    def _possible(self, columns: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        possible: npt.NDArray[np.bool_] = self._sums[columns] + self._rest >= self._bound
        return columns[possible]

    def _remaining(self) -> int:
        return sum(len(part) for part in self._lists[self._next :])

    def _raise_bound(self, seen: npt.NDArray[np.int32]) -> None:
        if seen.size < self._limit:
            return
        best = seen[np.argpartition(self._sums[seen], -self._limit)[-self._limit :]]
        self._bound = max(self._bound, int(self._exact(best).min()))

    def _exact(self, columns: npt.NDArray[np.integer]) -> Ints:
        sums: Ints = self._table[self._arrays.bits[columns]].sum(axis=1, dtype=np.int64)
        return sums

    def _bound_by(self, scores: Ints) -> int:
        return max(self._bound, int(scores[-1])) if scores.size == self._limit else self._bound

    def _best(self, candidates: npt.NDArray[np.int32]) -> Found:
        columns = candidates.astype(np.int64)
        scores = self._exact(columns)
        enough = scores >= self._bound
        columns, scores = columns[enough], scores[enough]
        order = ranking(scores, self._arrays.words[columns], columns)[: self._limit]
        return Found(columns[order], scores[order])


def _distinct(columns: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    ordered = np.sort(columns)
    keep = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
