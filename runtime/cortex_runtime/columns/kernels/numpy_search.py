"""The search for the best columns, in numpy: lists are visited some at a time. Its steps: see search.py."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import Concepts
from cortex_runtime.columns.postings import columns_in
from cortex_runtime.columns.search import MAX_IDS, FoundMany, Searcher, ranking
from cortex_runtime.columns.weights import weights_of

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint64]
# Where a list is and what it brings: postings for each unit of weight, start in the arena, length, weight.
PostingsList = tuple[float, int, int, int]

FIRST_POSTINGS = 2048  # of the shortest lists, which are visited together
_GROWN = 8  # times as many columns as when the best were looked at, and they are looked at again
FEW_ROWS = 256  # are fetched sooner than one bitmap is looked at
_A_STEP = 3000  # postings: what numpy spends on a step however short it is
_POSTINGS_A_ROW = 30
_SAMPLE = 16  # a share of all columns shows what the best of them may share
SINGLE = 1 / 15  # of all columns: more are summed up faster side by side than one by one
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
        for part in walk.seen:
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
    """One search: the lists it has visited, what it has seen there, the bound it knows, what is left."""

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
        self.seen: list[Ints] = []  # each column in one of the parts

    def run(self) -> tuple[Ints, Ints]:
        """Visit lists until nothing unseen can be among the best, then score what was seen."""
        self._visit_lists()
        columns, scores = self._scored(*self._narrowed())
        if self._next == len(self._lists) and self._maps and self._in_maps >= self._bound:
            unseen, sums = self._unseen()
            columns, scores = np.concatenate((columns, unseen)), np.concatenate((scores, sums))
        order = ranking(scores, self._arrays.words[columns], columns, self._limit)
        return columns[order], scores[order]

    def _visit_lists(self) -> None:
        """Visit the shortest together, then one by one until nobody unseen can be among the best."""
        if not self._lists or self._rest < self._bound:
            return
        self._visit_first()
        count = looked_at = self.seen[0].size
        while self._next < len(self._lists) and self._rest >= self._bound:
            columns, weight = self._take()
            before = self._sums.take(columns)
            self._sums[columns] = before + np.uint16(weight)
            self.seen.append(columns[before == 0])
            count += self.seen[-1].size
            if count >= _GROWN * looked_at and self._rest >= self._bound:
                looked_at = count  # to look costs as much as to visit: so now and then
                self._raise_bound(*self._all_seen())

    def _all_seen(self) -> tuple[Ints, npt.NDArray[np.uint16]]:
        """Return the columns that were seen and may be found, and what they share of the lists so far."""
        columns = self.seen[0] if len(self.seen) == 1 else np.concatenate(self.seen)
        if self._without.size:
            columns = columns[~np.isin(columns, self._without)]
        return columns, self._sums.take(columns)

    def _visit_first(self) -> None:
        parts: list[Ints] = []
        amounts: list[int] = []
        size = 0
        while self._next < len(self._lists) and self._rest >= self._bound:
            if parts and size + self._length() > FIRST_POSTINGS:
                break
            columns, weight = self._take()
            parts.append(columns)
            amounts.append(weight)
            size += columns.size
        columns = parts[0] if len(parts) == 1 else np.concatenate(parts)
        weights = np.repeat(np.array(amounts, dtype=np.uint16), [part.size for part in parts])
        np.add.at(self._sums, columns, weights)
        self.seen.append(columns if len(parts) == 1 else _distinct(columns))

    def _take(self) -> tuple[Ints, int]:
        """Return the next list's columns and its weight."""
        _, start, length, weight = self._lists[self._next]
        self._next += 1
        self._rest -= weight
        return self._postings.arena[start : start + length].astype(np.int64), weight

    def _narrowed(self) -> tuple[Ints, Ints]:
        """Return the seen columns that may be among the best, and what they share of all that was visited.

        They are parted by the lists that are left and the bitmaps, in turn whichever is cheaper for its
        weight, until they are few, or fetching their rows costs less than the next list.
        """
        if not self.seen:
            return _NOBODY, _NOBODY
        columns, in_lists = self._all_seen()
        self._raise_bound(columns, in_lists)
        by_maps = np.zeros(columns.size, dtype=np.uint16)
        maps = self._maps[::-1]
        while columns.size > FEW_ROWS:
            if maps and self._is_cheap(maps[-1][0], columns.size):
                weight, bitmap = maps.pop()
                by_maps += _has(bitmap, columns) * np.uint16(weight)
                self._rest -= weight
            elif self._next < len(self._lists) and self._length() <= _POSTINGS_A_ROW * columns.size:
                self._add(*self._take())
                in_lists = self._sums.take(columns)
            else:
                break
            possible = in_lists + by_maps >= self._bound - self._rest
            columns, in_lists, by_maps = columns[possible], in_lists[possible], by_maps[possible]
        sums = in_lists.astype(np.int64) + by_maps
        possible = sums >= self._bound - self._rest
        return columns[possible], sums[possible]

    def _add(self, columns: Ints, weight: int) -> None:
        """Add a list's weight to those of its columns that were seen."""
        before = self._sums.take(columns)
        again = before > 0
        self._sums[columns[again]] = before[again] + np.uint16(weight)

    def _is_cheap(self, weight: int, candidates: int) -> bool:
        """Tell whether a bitmap costs less for its weight than the next list."""
        if self._next == len(self._lists):
            return True
        by_list = self._lists[self._next][-1]
        return (_A_STEP + candidates) * by_list <= (_A_STEP + self._length()) * weight

    def _length(self) -> int:
        return self._lists[self._next][2]

    def _raise_bound(self, columns: Ints, sums: npt.NDArray[np.uint16]) -> None:
        """Raise the bound to what the best of the columns that lead so far share in all."""
        most = self._limit + self._limit // 2
        if self._raising and columns.size >= most:
            scores = self._exact(columns[np.argpartition(sums, -most)[-most:]])
            self._bound = max(self._bound, int(np.partition(scores, -self._limit)[-self._limit]))

    def _exact(self, columns: Ints) -> Ints:
        return shared(self._searcher, self._bits, self._weights, self._arrays.bits[columns])

    def _scored(self, columns: Ints, sums: Ints) -> tuple[Ints, Ints]:
        # With nothing left to visit, what was summed up is exact.
        scores = sums if not self._rest or not columns.size else self._exact(columns)
        enough = scores >= self._bound
        columns, scores = columns[enough], scores[enough]
        if scores.size >= self._limit:
            self._bound = max(self._bound, int(np.partition(scores, -self._limit)[-self._limit]))
        return columns, scores

    def _unseen(self) -> tuple[Ints, Ints]:
        """Return columns that no list has and that bitmaps alone lift to the bound, with the best of them."""
        words = self._postings.words
        able = self._able()
        if able.size > SINGLE * 64 * words:
            self._raise_by_sums(-(-words // _SAMPLE))
            able = self._able()
        if able.size > SINGLE * 64 * words:
            able = self._raise_by_sums(words)
        unseen = self._sums.take(able) == 0
        if self._without.size:
            unseen &= ~np.isin(able, self._without)
        columns = able[unseen]
        scores = np.zeros(columns.size, dtype=np.int64)
        for weight, bitmap in self._maps:
            scores += _has(bitmap, columns) * np.int64(weight)
        enough = scores >= self._bound
        return columns[enough], scores[enough]

    def _able(self) -> Ints:
        """Return the columns that, by groups of bitmaps, may lack no more than what is above the bound."""
        slack, together = self._in_maps - self._bound, 0
        alive = group = None
        for weight, bitmap in self._maps:
            group = bitmap if group is None else group | bitmap
            together += weight
            if together > slack:
                alive = group if alive is None else alive & group
                group, together = None, 0
        return _NOBODY if alive is None else columns_in(alive)

    def _raise_by_sums(self, words: int) -> Ints:
        """Raise the bound to what the best of the first columns have in common; return who reaches it."""
        planes = _sums_of([(weight, bitmap[:words]) for weight, bitmap in self._maps])
        self._bound = max(self._bound, _at_rank(planes, self._limit + self._without.size))
        above = np.zeros(words, dtype=np.uint64)
        level = ~above
        for number in range(len(planes) - 1, -1, -1):
            if self._bound >> number & 1:
                level &= planes[number]
            else:
                above |= level & planes[number]
                level &= ~planes[number]
        return columns_in(above | level)


def _has(bitmap: Words, columns: Ints) -> npt.NDArray[np.uint16]:
    """Return which columns are in a bitmap, as 0 and 1."""
    eights = bitmap.view(np.uint8).take(columns >> 3)
    return (eights >> (columns & 7).astype(np.uint8) & np.uint8(1)).astype(np.uint16)


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


def _sums_of(maps: list[tuple[int, Words]]) -> list[Words]:
    """Return the planes of the sums of bitmaps' weights: bit j of a column's sum is its bit in plane j."""
    planes: list[Words] = []
    words = maps[0][1].size
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


def _distinct(columns: Ints) -> Ints:
    ordered = np.sort(columns)
    keep = np.empty(ordered.size, dtype=np.bool_)
    keep[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
