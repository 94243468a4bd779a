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
from cortex_runtime.columns.postings import Postings, PostingsList

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]
Rows = npt.NDArray[np.uint16]
_STEPS = np.repeat((10.0, 2.5, 0.0), (WORD_BITS, PAD - WORD_BITS, 1))  # of weight for each bit of information
_COLUMNS_OF_255 = 20_000_000  # of fewer columns no bit weighs more
_FIRST_CHUNK = 1024
_REST_WORTH_A_BOUND = 2048
_FEW = 4
_POSTINGS_A_ROW = 10
_NOBODY = np.zeros(0, dtype=np.int64)


def weights_of(bits: npt.NDArray[np.integer], counts: npt.NDArray[np.integer], columns: int) -> Ints:
    """Return the weights (0-255) of bits that so many of the columns have; PAD weighs nothing.

    w = round(10 · a · log2((columns + 1) / (count + 0.5))), a = 1 for words and 0.25 for n-grams.
    """
    information = np.log2(counts + 0.5)
    np.subtract(math.log2(columns + 1), information, out=information)
    information *= _STEPS[bits]
    information += 0.5
    if columns > _COLUMNS_OF_255:
        np.minimum(information, 255, out=information)
    weights: Ints = information.astype(np.int64)
    return weights


def ranking(
    scores: Ints, words: npt.NDArray[np.integer], columns: npt.NDArray[np.integer], limit: int
) -> Ints:
    """Return the order of the best columns: most shared weight, then fewest words, then lowest number."""
    keys = (scores << 38) - (words.astype(np.int64) << 32) - columns
    if keys.size <= limit:
        return np.argsort(-keys)
    best = np.argpartition(keys, -limit)[-limit:]
    return best[np.argsort(-keys[best])]


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
        lists = self._postings.lists(bits, weights)
        rest = sum([weight for *_, weight in lists])
        if rest < floor:
            return Found(_NOBODY, _NOBODY)
        self._sums = grown(self._sums, self._arrays.states.size)
        walk = _Walk(self, bits, weights, lists, rest, limit, max(floor, 1), without, budget)
        try:
            return walk.run()
        finally:
            for part in walk.visited:
                self._sums[part] = 0


class _Walk:
    """One search: the lists it has visited, the bound it knows, what is left."""

    def __init__(
        self,
        searcher: Searcher,
        bits: Ints,
        weights: Ints,
        lists: list[PostingsList],
        rest: int,
        limit: int,
        floor: int,
        without: Ints,
        budget: int | None,
    ) -> None:
        self._searcher, self._bits, self._weights = searcher, bits, weights
        self._arrays, self._postings, self._sums = searcher._arrays, searcher._postings, searcher._sums
        self._lists, self._rest = lists, rest
        self._limit, self._bound, self._without = limit, floor, without
        self._left = budget
        self._next = 0
        self.visited: list[Columns] = []
        self._seen = np.zeros(0, dtype=np.int32)

    def run(self) -> Found:
        """Visit lists until nothing unseen can be among the best, then score what was seen."""
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
        parts: list[Columns] = []
        weights: list[int] = []
        size, stopped = 0, False
        while self._next < len(self._lists) and not stopped:
            _, start, length, weight = self._lists[self._next]
            if parts and (size + length > chunk or self._rest < self._bound):
                break
            part = self._postings.list_at(start, length)
            if self._left is not None and part.size > self._left:
                part, stopped = part[: self._left], True
            else:
                self._rest -= weight
                self._next += 1
            parts.append(part)
            weights.append(weight)
            size += part.size
            if self._left is not None:
                self._left -= part.size
        self._accumulate(parts, weights)
        return stopped

    def _accumulate(self, parts: list[Columns], weights: list[int]) -> None:
        if len(parts) == 1:
            fresh = self._accumulate_one(parts[0], weights[0])
        else:
            columns = np.concatenate(parts)
            fresh = columns[self._sums[columns] == 0] if self.visited else columns
            amounts = np.repeat(np.array(weights, dtype=np.uint16), [part.size for part in parts])
            np.add.at(self._sums, columns, amounts)
            fresh = _distinct(fresh)
            self.visited.append(fresh)
        if self._without.size:
            fresh = fresh[~np.isin(fresh, self._without)]
        self._seen = np.concatenate((self._seen, fresh)) if self._seen.size else fresh

    def _accumulate_one(self, columns: Columns, weight: int) -> Columns:
        before = self._sums[columns]
        fresh: Columns = columns[before == 0]
        self._sums[columns] = before + np.uint16(weight)
        self.visited.append(fresh)
        return fresh

    def _narrowed(self, *, finish: bool) -> Columns:
        """Return the seen columns that may be among the best.

        Fetching a row costs as much as visiting some postings, so short lists are finished first: they
        add nobody, they only part the candidates.
        """
        candidates = self._possible(self._seen)
        if candidates.size > _FEW * self._limit:
            self._raise_bound(candidates)
            candidates = self._possible(candidates)
        while finish and self._next < len(self._lists):
            _, start, length, weight = self._lists[self._next]
            if length > _POSTINGS_A_ROW * (candidates.size - _FEW):
                break
            self._accumulate_one(self._postings.list_at(start, length), weight)
            self._rest -= weight
            self._next += 1
            candidates = self._possible(candidates)
        return candidates

    def _possible(self, columns: Columns) -> Columns:
        possible: npt.NDArray[np.bool_] = self._sums[columns] + self._rest >= self._bound
        return columns[possible]

    def _remaining(self) -> int:
        return sum([length for _, _, length, _ in self._lists[self._next :]])

    def _raise_bound(self, seen: Columns) -> None:
        if seen.size < self._limit:
            return
        best = seen[np.argpartition(self._sums[seen], -self._limit)[-self._limit :]]
        self._bound = max(self._bound, int(self._exact(best).min()))

    def _exact(self, columns: npt.NDArray[np.integer]) -> Ints:
        return self._searcher.shared(self._bits, self._weights, self._arrays.bits[columns])

    def _bound_by(self, scores: Ints) -> int:
        return max(self._bound, int(scores[-1])) if scores.size == self._limit else self._bound

    def _best(self, candidates: Columns) -> Found:
        if not candidates.size:
            return Found(_NOBODY, _NOBODY)
        columns = candidates.astype(np.int64)
        # With nothing left to visit, what was summed up is exact.
        scores = self._sums[candidates].astype(np.int64) if not self._rest else self._exact(columns)
        enough = scores >= self._bound
        columns, scores = columns[enough], scores[enough]
        order = ranking(scores, self._arrays.words[columns], columns, self._limit)
        return Found(columns[order], scores[order])


def _distinct(columns: Columns) -> Columns:
    ordered = np.sort(columns)
    keep = np.empty(ordered.size, dtype=np.bool_)
    keep[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
