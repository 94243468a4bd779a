"""The search for the best columns, in numpy: lists are visited some at a time. Its steps: see search.py."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import Concepts
from cortex_runtime.columns.postings import columns_in
from cortex_runtime.columns.search import MAX_IDS, FoundMany, Searcher, ranking
from cortex_runtime.columns.weights import weights_of

Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.int32]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint64]
# Where a list is and what it brings: postings for each unit of weight, start in the arena, length, weight.
PostingsList = tuple[float, int, int, int]

FIRST_CHUNK = 1024
REST_WORTH_A_BOUND = 2048
_FEW = 4
_FEW_ROWS = 64  # are fetched sooner than one bitmap is looked at
_A_STEP = 1000  # postings: what numpy spends on a step however short it is
_POSTINGS_A_ROW = 10
_NOBODY = np.zeros(0, dtype=np.int64)


def weigh(bits: Ints, counts: npt.NDArray[np.int32], columns: int) -> Ints:
    """Return the weights of bits int64[n]: see weights.weights_of."""
    return weights_of(bits, counts[bits], columns)


def shared(searcher: Searcher, bits: Ints, weights: Ints, rows: Rows) -> Ints:
    """Return the weight int64[n] that rows of bits uint16[n, 40] share with bits int64[m]."""
    table = searcher.table
    table[bits] = weights
    sums: Ints = table[rows].sum(axis=1, dtype=np.int64)
    table[bits] = 0
    return sums


def search(
    searcher: Searcher, bits: Ints, weights: Ints, limit: int, floor: int, without: Ints
) -> tuple[Ints, Ints]:
    """Return the best columns that share at least `floor`, and the weight each shares, best first."""
    walk = _Walk(searcher, bits, weights, limit, max(floor, 1), without)
    try:
        return walk.run()
    finally:
        for part in walk.visited:
            searcher.sums[part] = 0


def find_many(
    searcher: Searcher, concepts: Concepts, bits: Ints, ends: Ints, columns: int, limit: int, most: int
) -> FoundMany:
    """Weigh queries, the bits of one after the other's, and search by those that cost at most `most`."""
    best, overlaps = [_NOBODY], [np.zeros(0)]
    found_ends, costs = np.zeros((2, ends.size), dtype=np.int64)
    start = 0
    for query, end in enumerate(ends.tolist()):
        own, start = bits[start:end], end
        weights = weigh(own, searcher.postings.counts, columns)
        costs[query] = searcher.cost(own, weights)
        if costs[query] <= most:
            found, scores = search(searcher, own, weights, limit, 1, _NOBODY)
            best.append(found)
            overlaps.append(scores / max(1, int(weights.sum())))
        found_ends[query] = found_ends[query - 1] + (best[-1].size if costs[query] <= most else 0)
    every = np.concatenate(best)
    rows, sizes = concepts.on_each(every, MAX_IDS)
    return FoundMany(every, np.concatenate(overlaps), concepts.ids[rows], sizes, found_ends, costs)


class _Walk:
    """One search: the lists it has visited, the bound it knows, what is left."""

    def __init__(
        self, searcher: Searcher, bits: Ints, weights: Ints, limit: int, floor: int, without: Ints
    ) -> None:
        self._searcher, self._bits, self._weights = searcher, bits, weights
        self._arrays, self._postings, self._sums = searcher.arrays, searcher.postings, searcher.sums
        self._limit, self._bound, self._without = limit, floor, without
        self._lists, self._maps = _lists_and_maps(searcher, bits, weights)
        self._in_maps = sum([weight for weight, _ in self._maps])
        self._rest = self._in_maps + sum([weight for *_, weight in self._lists])
        self._raising = 2 * self._bound < self._rest  # few reach more than that: no need to look for the best
        self._next = 0
        self.visited: list[Columns] = []
        self._seen = np.zeros(0, dtype=np.int32)

    def run(self) -> tuple[Ints, Ints]:
        """Visit lists until nothing unseen can be among the best, then score what was seen."""
        chunk = FIRST_CHUNK
        while self._next < len(self._lists) and self._rest >= self._bound:
            self._visit(chunk)
            chunk *= 4
            if self._rest >= self._bound and self._remaining() > REST_WORTH_A_BOUND:
                self._raise_bound(self._seen)
        columns, scores = self._scored(self._narrowed())
        if self._next == len(self._lists) and self._in_maps >= self._bound:
            unseen, sums = self._unseen()
            columns, scores = np.concatenate((columns, unseen)), np.concatenate((scores, sums))
        order = ranking(scores, self._arrays.words[columns], columns, self._limit)
        return columns[order], scores[order]

    def _visit(self, chunk: int) -> None:
        """Visit lists with about `chunk` postings."""
        parts: list[Columns] = []
        weights: list[int] = []
        size, arena = 0, self._postings.arena
        while self._next < len(self._lists):
            _, start, length, weight = self._lists[self._next]
            if parts and (size + length > chunk or self._rest < self._bound):
                break
            parts.append(arena[start : start + length])
            weights.append(weight)
            size += length
            self._rest -= weight
            self._next += 1
        self._accumulate(parts, weights)

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

    def _narrowed(self) -> Columns:
        """Return the seen columns that may be among the best.

        They are parted by the lists that are left and the bitmaps, in turn whichever is cheaper for its
        weight, until they are few, or fetching their rows costs less than the next list.
        """
        candidates = self._possible(self._seen)
        if candidates.size > _FEW * self._limit:
            self._raise_bound(candidates)
            candidates = self._possible(candidates)
        maps = self._maps[::-1]
        while candidates.size > _FEW_ROWS:
            if maps and self._is_cheap(maps[-1][0], candidates.size):
                self._add_bitmap(candidates, *maps.pop())
            elif self._next < len(self._lists) and self._length() <= _POSTINGS_A_ROW * candidates.size:
                _, start, length, weight = self._lists[self._next]
                self._accumulate_one(self._postings.arena[start : start + length], weight)
                self._rest -= weight
                self._next += 1
            else:
                break
            candidates = self._possible(candidates)
        return candidates

    def _is_cheap(self, weight: int, candidates: int) -> bool:
        """Tell whether a bitmap costs less for its weight than the next list."""
        if self._next == len(self._lists):
            return True
        by_list = self._lists[self._next][-1]
        return (_A_STEP + candidates) * by_list <= (_A_STEP + self._length()) * weight

    def _length(self) -> int:
        return self._lists[self._next][2]

    def _add_bitmap(self, candidates: Columns, weight: int, bitmap: Words) -> None:
        has = (bitmap[candidates >> 6] >> (candidates & 63).astype(np.uint64)) & np.uint64(1)
        self._sums[candidates] += (has * np.uint64(weight)).astype(np.uint16)
        self._rest -= weight

    def _possible(self, columns: Columns) -> Columns:
        possible: npt.NDArray[np.bool_] = self._sums[columns] + self._rest >= self._bound
        return columns[possible]

    def _remaining(self) -> int:
        return sum([length for _, _, length, _ in self._lists[self._next :]])

    def _raise_bound(self, seen: Columns) -> None:
        if seen.size < self._limit or not self._raising:
            return
        best = seen[np.argpartition(self._sums[seen], -self._limit)[-self._limit :]]
        self._bound = max(self._bound, int(self._exact(best).min()))

    def _exact(self, columns: npt.NDArray[np.integer]) -> Ints:
        return shared(self._searcher, self._bits, self._weights, self._arrays.bits[columns])

    def _scored(self, candidates: Columns) -> tuple[Ints, Ints]:
        if not candidates.size:
            return _NOBODY, _NOBODY
        columns = candidates.astype(np.int64)
        # With nothing left to visit, what was summed up is exact.
        scores = self._sums[candidates].astype(np.int64) if not self._rest else self._exact(columns)
        enough = scores >= self._bound
        columns, scores = columns[enough], scores[enough]
        if scores.size >= self._limit:
            self._bound = max(self._bound, int(np.partition(scores, -self._limit)[-self._limit]))
        return columns, scores

    def _unseen(self) -> tuple[Ints, Ints]:
        """Return columns that no list has and that bitmaps alone lift to the bound, with the best of them."""
        planes = _sums_of(self._maps, self._postings.words)
        self._bound = max(self._bound, _at_rank(planes, self._limit + self._without.size))
        above = np.zeros(planes[0].size, dtype=np.uint64)
        level = ~above
        for number in range(len(planes) - 1, -1, -1):
            if self._bound >> number & 1:
                level &= planes[number]
            else:
                above |= level & planes[number]
                level &= ~planes[number]
        better, tied = columns_in(above), columns_in(level)
        scores = np.zeros(better.size, dtype=np.int64)
        for number, plane in enumerate(planes):
            has = (plane[better >> 6] >> (better & 63).astype(np.uint64)) & np.uint64(1)
            scores += has.astype(np.int64) << number
        columns = np.concatenate((better, tied))
        scores = np.concatenate((scores, np.full(tied.size, self._bound)))
        unseen = self._sums[columns] == 0
        if self._without.size:
            unseen &= ~np.isin(columns, self._without)
        return columns[unseen], scores[unseen]


def _lists_and_maps(
    searcher: Searcher, bits: Ints, weights: Ints
) -> tuple[list[PostingsList], list[tuple[int, Words]]]:
    """Return the lists of bits that have any and weigh something, the cheapest to visit first, and the
    bitmaps with their weight, the heaviest first.
    """
    postings = searcher.postings
    counts, starts, slots = postings.counts[bits], postings.starts[bits], postings.slots[bits]
    lists, maps = [], []
    for length, weight, start, slot in zip(
        counts.tolist(), weights.tolist(), starts.tolist(), slots.tolist(), strict=True
    ):
        if not length or not weight:
            continue
        if slot >= 0:
            maps.append((weight, slot))
        else:
            lists.append((length / weight, start, length, weight))
    lists.sort()
    maps.sort(reverse=True)
    return lists, [(weight, postings.bitmaps[slot, : postings.words]) for weight, slot in maps]


def _sums_of(maps: list[tuple[int, Words]], words: int) -> list[Words]:
    """Return the planes of the sums of bitmaps' weights: bit j of a column's sum is its bit in plane j."""
    planes: list[Words] = []
    spare = np.empty(words, dtype=np.uint64)
    total = 0
    for weight, bitmap in reversed(maps):
        total += weight
        carry = np.zeros(words, dtype=np.uint64)
        while total >> len(planes):
            planes.append(np.zeros(words, dtype=np.uint64))
        for number, plane in enumerate(planes):
            if weight >> number & 1:
                np.bitwise_xor(plane, bitmap, out=spare)
                both = plane & bitmap
                np.bitwise_xor(spare, carry, out=plane)
                spare &= carry
                np.bitwise_or(both, spare, out=carry)
            else:
                np.bitwise_and(plane, carry, out=spare)
                np.bitwise_xor(plane, carry, out=plane)
                carry, spare = spare, carry
    return planes


def _at_rank(planes: list[Words], rank: int) -> int:
    """Return the sum that so many columns reach: the highest such one, found from its top bit down."""
    alive = ~np.zeros(planes[0].size, dtype=np.uint64)
    least = 0
    for number in range(len(planes) - 1, -1, -1):
        having = alive & planes[number]
        count = int(np.bitwise_count(having).sum(dtype=np.int64))
        if count >= rank:
            least |= 1 << number
            alive = having
        else:
            rank -= count
            alive &= ~planes[number]
    return least


def _distinct(columns: Columns) -> Columns:
    ordered = np.sort(columns)
    keep = np.empty(ordered.size, dtype=np.bool_)
    keep[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
