"""The search for the best columns, compiled. What it does step by step: see search.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.concepts import Concepts
from cortex_runtime.columns.encoding import PAD, WORD_BITS
from cortex_runtime.columns.search import MAX_IDS, FoundMany, Searcher
from cortex_runtime.columns.weights import GRAM_THRESHOLDS, WORD_THRESHOLDS

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
_FOLLOWED = 64  # so many of the best are followed posting by posting; more are looked for now and then
_POSTINGS_A_ROW = 64  # fetching a column's row, which is in no cache, costs as much as so many postings
_BLOCK = 128  # words of all bitmaps that are summed up together: they stay in the nearest cache


def weigh(bits: Ints, counts: npt.NDArray[np.int32], columns: int) -> Ints:
    """Return the weights of bits int64[n]: see weights.weights_of."""
    weights: Ints = _weigh(bits, counts, columns, WORD_THRESHOLDS, GRAM_THRESHOLDS)
    return weights


def shared(searcher: Searcher, bits: Ints, weights: Ints, rows: Rows) -> Ints:
    """Return the weight int64[n] that rows of bits uint16[n, 40] share with bits int64[m]."""
    sums: Ints = _shared(bits, weights, np.ascontiguousarray(rows), searcher.table)
    return sums


def search(
    searcher: Searcher, bits: Ints, weights: Ints, limit: int, floor: int, without: Ints
) -> tuple[Ints, Ints]:
    """Return the best columns that share at least `floor`, and the weight each shares, best first."""
    found: tuple[Ints, Ints] = _search(bits, weights, limit, floor, without, *_index(searcher))
    return found


def find_many(
    searcher: Searcher, concepts: Concepts, bits: Ints, ends: Ints, columns: int, limit: int, most: int
) -> FoundMany:
    """Weigh queries, the bits of one after the other's, and search by those that cost at most `most`."""
    found = _find_many(
        bits, ends, columns, limit, most, WORD_THRESHOLDS, GRAM_THRESHOLDS, *_index(searcher),
        concepts.first, concepts.after, concepts.ids, MAX_IDS,
    )  # fmt: skip
    return FoundMany(*found)


def _index(searcher: Searcher) -> tuple[Any, ...]:
    postings, arrays = searcher.postings, searcher.arrays
    return (
        postings.counts, postings.starts, postings.slots, postings.arena, postings.bitmaps, postings.words,
        arrays.bits, arrays.words, searcher.sums, searcher.touched, searcher.planes, searcher.table,
    )  # fmt: skip


def _compiled(signature: str) -> Any:
    return njit(signature, cache=True, nogil=True)


@_compiled("int64[::1](int64[::1], int32[::1], int64, float64[::1], float64[::1])")
def _weigh(bits, counts, columns, words, grams):  # type: ignore[no-untyped-def]
    weights = np.zeros(bits.size, dtype=np.int64)
    for place in range(bits.size):
        bit = bits[place]
        if bit == PAD:
            continue
        ratio = (2.0 * columns + 2.0) / (2.0 * counts[bit] + 1.0)
        thresholds = words if bit < WORD_BITS else grams
        low, high = 0, thresholds.size
        while low < high:
            middle = (low + high) >> 1
            if thresholds[middle] <= ratio:
                low = middle + 1
            else:
                high = middle
        weights[place] = low
    return weights


@_compiled("int64(uint16[:, ::1], int64, uint8[::1])")
def _exact(rows, column, table):  # type: ignore[no-untyped-def]
    score = 0
    for place in range(rows.shape[1]):
        bit = rows[column, place]
        if bit == PAD:
            break
        score += table[bit]
    return score


@_compiled("int64[::1](int64[::1], int64[::1], uint16[:, ::1], uint8[::1])")
def _shared(bits, weights, rows, table):  # type: ignore[no-untyped-def]
    for place in range(bits.size):
        table[bits[place]] = weights[place]
    sums = np.empty(rows.shape[0], dtype=np.int64)
    for row in range(rows.shape[0]):
        sums[row] = _exact(rows, row, table)
    for bit in bits:
        table[bit] = 0
    return sums


@_compiled("boolean(int64[::1], int64)")
def _is_in(ordered, column):  # type: ignore[no-untyped-def]
    place = np.searchsorted(ordered, column)
    return place < ordered.size and ordered[place] == column


# A column's key has its score, its words and its number in one; a greater one is better. The best so far are
# a heap of keys, the worst of them first (Knuth, TAOCP 3, 5.2.3).


@_compiled("int64(int64, uint8[::1], int64)")
def _key(score, words, column):  # type: ignore[no-untyped-def]
    return (score << 38) - (np.int64(words[column]) << 32) - column


@_compiled("int64(int64)")
def _score_in(key):  # type: ignore[no-untyped-def]
    column = -key & 0xFFFFFFFF
    return (((key + column) >> 32) + 63) >> 6


@_compiled("int64(int64[::1], int64, int64)")
def _keep(heap, size, key):  # type: ignore[no-untyped-def]
    """Keep a key if it is among the best; return how many there are."""
    if size < heap.size:
        place = size
        while place > 0 and heap[(place - 1) >> 1] > key:
            heap[place] = heap[(place - 1) >> 1]
            place = (place - 1) >> 1
        heap[place] = key
        return size + 1
    if key <= heap[0]:
        return size
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = key
    return size


# The loops below have no branches that depend on what a column shares: a processor would guess them wrong as
# often as not, and a wrong guess costs more than all else that is done for a column.


@_compiled("int64(int32[::1], int64, uint16[::1], int64)")
def _possible(candidates, count, sums, least):  # type: ignore[no-untyped-def]
    """Bring the candidates with at least that sum to the front; return how many they are."""
    kept = 0
    for at in range(count):
        column = candidates[at]
        candidates[at] = candidates[kept]
        candidates[kept] = column
        kept += np.int64(sums[column]) >= least
    return kept


@_compiled("int64(int32[::1], int64, uint16[::1], uint64[::1], int64, int64)")
def _possible_by(candidates, count, sums, bitmap, weight, least):  # type: ignore[no-untyped-def]
    """Do as `_possible`, after having added the weight of a bitmap to the candidates that are in it."""
    kept = 0
    for at in range(count):
        column = candidates[at]
        candidates[at] = candidates[kept]
        candidates[kept] = column
        has = (bitmap[column >> 6] >> np.uint64(column & 63)) & np.uint64(1)
        total = np.int64(sums[column]) + weight * np.int64(has)
        sums[column] = total
        kept += total >= least
    return kept


@_compiled(
    "UniTuple(int64, 2)(int32[::1], int64, int64, uint16[::1], int32[::1], int64,"
    " int64[::1], int64[::1], int64[::1], int64, int64[::1])"
)
def _visit(entries, weight, count, sums, touched, limit, columns, partial, exact, followed, without):  # type: ignore[no-untyped-def]
    """Add a list's weight to its columns, and follow the best; return how many were touched, and followed."""
    bar, lowest = np.int64(0 if limit else 1 << 40), 0
    if limit and followed == limit:
        lowest = partial[:followed].argmin()
        bar = partial[lowest]
    for column in entries:
        total = np.int64(sums[column])
        touched[count] = column
        count += total == 0
        total += weight
        sums[column] = total
        if total <= bar or (without.size and _is_in(without, column)):
            continue
        place = 0
        while place < followed and columns[place] != column:
            place += 1
        if place == followed:
            if followed < limit:
                followed += 1
            else:
                place = lowest
            columns[place] = column
            exact[place] = -1
        partial[place] = total
        if followed == limit:
            lowest = partial[:followed].argmin()
            bar = partial[lowest]
    return count, followed


@_compiled("int64(uint64)")
def _ones(word):  # type: ignore[no-untyped-def]
    """Return how many bits are set in a word (Knuth, TAOCP 4A, 7.1.3)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@_compiled("int64(uint64[:, ::1], int64[::1], int64[::1], int64, uint64[:, ::1])")
def _sum_up(bitmaps, slots, weights, words, planes):  # type: ignore[no-untyped-def]
    """Sum up the weights of bitmaps for 64 columns at a time; return how many planes the sums take.

    Bit j of a column's sum is the column's bit in planes[j]: bit-sliced addition with a carry, the lightest
    first, since a sum takes no more planes than it may be long.
    """
    used, carry = 0, np.empty(_BLOCK, dtype=np.uint64)
    total = weights.sum()
    while total >> used:
        planes[used, :words] = 0
        used += 1
    for start in range(0, words, _BLOCK):
        size = min(_BLOCK, words - start)
        total = 0
        for each in range(slots.size - 1, -1, -1):
            bitmap, weight = bitmaps[slots[each]], weights[each]
            total += weight
            carry[:] = 0
            plane = 0
            while total >> plane:
                sums = planes[plane]
                if (weight >> plane) & 1:
                    for at in range(size):
                        one, two, three = sums[start + at], bitmap[start + at], carry[at]
                        sums[start + at] = one ^ two ^ three
                        carry[at] = (one & two) | (three & (one | two))
                else:
                    for at in range(size):
                        one, three = sums[start + at], carry[at]
                        sums[start + at] = one ^ three
                        carry[at] = one & three
                plane += 1
    return used


@_compiled("int64(uint64[:, ::1], int64, int64, int64)")
def _at_rank(planes, used, words, rank):  # type: ignore[no-untyped-def]
    """Return the sum that so many columns reach: the highest such one, found from its top bit down."""
    alive = np.empty(words, dtype=np.uint64)
    alive[:] = ~np.uint64(0)
    least = 0
    for plane in range(used - 1, -1, -1):
        having = 0
        for at in range(words):
            having += _ones(alive[at] & planes[plane, at])
        if having >= rank:
            least |= 1 << plane
            for at in range(words):
                alive[at] &= planes[plane, at]
        else:
            rank -= having
            for at in range(words):
                alive[at] &= ~planes[plane, at]
    return least


@_compiled(
    "int64(uint64[:, ::1], int64, int64, int64, uint16[::1], uint8[::1], int64[::1], int64[::1], int64)"
)
def _keep_unseen(planes, used, words, bound, sums, column_words, without, heap, size):  # type: ignore[no-untyped-def]
    """Keep the best of the columns that no list has and that bitmaps alone lift to the bound."""
    for at in range(words):
        above, level = np.uint64(0), ~np.uint64(0)
        for plane in range(used - 1, -1, -1):
            if (bound >> plane) & 1:
                level &= planes[plane, at]
            else:
                above |= level & planes[plane, at]
                level &= ~planes[plane, at]
        left = above | level
        while left:
            lowest = left & (~left + np.uint64(1))
            left ^= lowest
            column = 64 * at + _ones(lowest - np.uint64(1))
            if sums[column] or (without.size and _is_in(without, column)):
                continue
            score = bound
            if above & lowest:
                score = 0
                for plane in range(used):
                    if planes[plane, at] & lowest:
                        score |= 1 << plane
            size = _keep(heap, size, _key(score, column_words, column))
    return size


@_compiled("Tuple((int64[::1], int64[::1]))(int64[::1], int64[::1], int32[::1], int16[::1])")
def _split(bits, weights, counts, slots):  # type: ignore[no-untyped-def]
    """Return the places of bits that have lists, the cheapest for its weight first, and of those that have
    bitmaps, the heaviest first.
    """
    lists, maps = np.empty(bits.size, dtype=np.int64), np.empty(bits.size, dtype=np.int64)
    of_lists = of_maps = 0
    for place in range(bits.size):
        bit, weight = bits[place], weights[place]
        if not weight or not counts[bit]:
            continue
        if slots[bit] >= 0:
            at = of_maps
            while at and weights[maps[at - 1]] < weight:
                maps[at] = maps[at - 1]
                at -= 1
            maps[at] = place
            of_maps += 1
        else:
            at = of_lists
            while at and counts[bits[lists[at - 1]]] * weight > counts[bit] * weights[lists[at - 1]]:
                lists[at] = lists[at - 1]
                at -= 1
            lists[at] = place
            of_lists += 1
    return lists[:of_lists], maps[:of_maps]


@_compiled("int64(uint16[:, ::1], int64[::1], int64[::1], int64, uint8[::1], int64)")
def _raised(rows, columns, exact, followed, table, bound):  # type: ignore[no-untyped-def]
    """Return the bound, raised to the worst exact score of the columns that are followed."""
    worst = np.int64(1 << 40)
    for place in range(followed):
        if exact[place] < 0:
            exact[place] = _exact(rows, columns[place], table)
        worst = min(worst, exact[place])
    return max(bound, worst)


@_compiled("int64(int32[::1], int64, uint16[::1], int64, int64)")
def _raised_by_sums(touched, count, sums, rank, bound):  # type: ignore[no-untyped-def]
    """Return the bound, raised to what so many of the touched columns share already."""
    so_far = np.empty(count, dtype=np.int64)
    for place in range(count):
        so_far[place] = sums[touched[place]]
    return max(bound, np.partition(so_far, count - rank)[count - rank])


@_compiled(
    "UniTuple(int64, 4)(int64[::1], int64[::1], int64[::1], int64, int64, int64, int64[::1], int32[::1],"
    " int64[::1], int32[::1], uint16[:, ::1], uint16[::1], int32[::1], uint8[::1])"
)
def _visit_lists(  # type: ignore[no-untyped-def]
    bits, weights, lists, rest, limit, bound, without, counts, starts, arena, rows, sums, touched, table
):
    """Visit lists until nobody unseen can be among the best.

    Return how many were visited, how many columns were touched, what is left to visit, and the bound.
    """
    raising = 2 * bound < rest  # few columns reach more than that: no need to look for the best of them
    follow = limit if limit <= _FOLLOWED and raising else 0
    columns = np.empty(follow, dtype=np.int64)
    partial, exact = np.empty_like(columns), np.empty_like(columns)
    count = followed = at = 0
    looked_at = 2 * limit
    while at < lists.size and rest >= bound:
        bit, weight = bits[lists[at]], weights[lists[at]]
        entries = arena[starts[bit] : starts[bit] + counts[bit]]
        count, followed = _visit(
            entries, weight, count, sums, touched, follow, columns, partial, exact, followed, without
        )
        rest -= weight
        at += 1
        if follow and followed == limit:
            bound = _raised(rows, columns, exact, followed, table, bound)
        elif raising and not follow and count - without.size >= looked_at:
            looked_at = 2 * count
            bound = _raised_by_sums(touched, count, sums, limit + without.size, bound)
    return at, count, rest, bound


@_compiled(
    "UniTuple(int64, 2)(int64[::1], int64[::1], int64[::1], int64[::1], int64, int64, int64, int32[::1],"
    " int64[::1], int16[::1], int32[::1], uint64[:, ::1], uint16[::1], int32[::1])"
)
def _narrow(  # type: ignore[no-untyped-def]
    bits, weights, lists, maps, count, rest, bound, counts, starts, slots, arena, bitmaps, sums, touched
):
    """Of the touched columns, bring those to the front that can reach the bound: by the lists that are left
    and the bitmaps, in turn whichever is cheaper for its weight, but by no list that costs more than to fetch
    the candidates' rows. Return how many they are, and what is left.
    """
    candidates = _possible(touched, count, sums, bound - rest)
    of_lists = of_maps = 0
    while candidates and (of_lists < lists.size or of_maps < maps.size):
        by_list = of_lists < lists.size
        if by_list and of_maps < maps.size:
            a_list, a_map = lists[of_lists], maps[of_maps]
            by_list = counts[bits[a_list]] * weights[a_map] < candidates * weights[a_list]
        if not by_list:
            place = maps[of_maps]
            of_maps += 1
            rest -= weights[place]
            bitmap = bitmaps[slots[bits[place]]]
            candidates = _possible_by(touched, candidates, sums, bitmap, weights[place], bound - rest)
            continue
        place = lists[of_lists]
        bit, weight = bits[place], weights[place]
        if counts[bit] >= _POSTINGS_A_ROW * candidates:
            of_lists = lists.size
            continue
        of_lists += 1
        rest -= weight
        for column in arena[starts[bit] : starts[bit] + counts[bit]]:
            sums[column] += weight * (sums[column] > 0)
        candidates = _possible(touched, candidates, sums, bound - rest)
    return candidates, rest


@_compiled(
    "UniTuple(int64, 2)(int32[::1], int64, int64, uint16[::1], uint16[:, ::1], uint8[::1], uint8[::1],"
    " int64[::1], int64[::1], int64)"
)
def _keep_seen(  # type: ignore[no-untyped-def]
    touched, candidates, rest, sums, rows, column_words, table, without, heap, bound
):
    """Keep the best of the candidates; return how many there are, and the bound."""
    size = 0
    for each in range(candidates):
        column = np.int64(touched[each])
        score = np.int64(sums[column])
        if score + rest < bound or (without.size and _is_in(without, column)):
            continue
        if rest:
            score = _exact(rows, column, table)
        if score >= bound:
            size = _keep(heap, size, _key(score, column_words, column))
            if size == heap.size:
                bound = max(bound, _score_in(heap[0]))
    return size, bound


@_compiled(
    "Tuple((int64[::1], int64[::1]))(int64[::1], int64[::1], int64, int64, int64[::1], int32[::1],"
    " int64[::1], int16[::1], int32[::1], uint64[:, ::1], int64, uint16[:, ::1], uint8[::1], uint16[::1],"
    " int32[::1], uint64[:, ::1], uint8[::1])"
)
def _search(  # type: ignore[no-untyped-def]
    bits, weights, limit, floor, without, counts, starts, slots, arena, bitmaps, words, rows, column_words,
    sums, touched, planes, table,
):  # fmt: skip
    for place in range(bits.size):
        table[bits[place]] = weights[place]
    lists, maps = _split(bits, weights, counts, slots)
    in_maps = weights[maps].sum()
    at, count, rest, bound = _visit_lists(
        bits, weights, lists, weights[lists].sum() + in_maps, limit, max(floor, 1), without, counts, starts,
        arena, rows, sums, touched, table,
    )  # fmt: skip
    candidates, rest = _narrow(
        bits, weights, lists[at:], maps, count, rest, bound, counts, starts, slots, arena, bitmaps, sums,
        touched,
    )  # fmt: skip
    heap = np.empty(limit, dtype=np.int64)
    size, bound = _keep_seen(touched, candidates, rest, sums, rows, column_words, table, without, heap, bound)
    if at == lists.size and maps.size and in_maps >= bound:  # nobody has looked at common bits alone
        used = _sum_up(bitmaps, slots[bits[maps]].astype(np.int64), weights[maps], words, planes)
        bound = max(bound, _at_rank(planes, used, words, limit + without.size))
        size = _keep_unseen(planes, used, words, bound, sums, column_words, without, heap, size)
    for each in range(count):
        sums[touched[each]] = 0
    for bit in bits:
        table[bit] = 0
    keys = -np.sort(-heap[:size])
    found, scores = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    for each in range(size):
        found[each] = -keys[each] & 0xFFFFFFFF
        scores[each] = _score_in(keys[each])
    return found, scores


@_compiled("int64(int64[::1], int64, int32[::1], int32[::1], int64)")
def _most_on(columns, size, first, after, limit):  # type: ignore[no-untyped-def]
    """Return how many rows are chained on columns, of each at most `limit`."""
    count = 0
    for place in range(size):
        row = np.int64(first[columns[place]]) if columns[place] < first.size else np.int64(-1)
        on = 0
        while row >= 0 and on < limit:
            on += 1
            row = np.int64(after[row])
        count += on
    return count


@_compiled("int64(int64[::1], int64, int32[::1], int32[::1], int64[::1], int64[::1], int64)")
def _chain(columns, size, first, after, rows, sizes, limit):  # type: ignore[no-untyped-def]
    """Fill in the rows that are chained on columns, at most `limit` of each, and how many of each."""
    count = 0
    for place in range(size):
        column = columns[place]
        row = np.int64(first[column]) if column < first.size else np.int64(-1)
        sizes[place] = 0
        while row >= 0 and sizes[place] < limit:
            rows[count] = row
            count += 1
            sizes[place] += 1
            row = np.int64(after[row])
    return count


@_compiled(
    "Tuple((int64[::1], float64[::1], uint8[:, ::1], int64[::1], int64[::1], int64[::1]))(int64[::1],"
    " int64[::1], int64, int64, int64, float64[::1], float64[::1], int32[::1], int64[::1], int16[::1],"
    " int32[::1], uint64[:, ::1], int64, uint16[:, ::1], uint8[::1], uint16[::1], int32[::1],"
    " uint64[:, ::1], uint8[::1], int32[::1], int32[::1], uint8[:, ::1], int64)"
)
def _find_many(  # type: ignore[no-untyped-def]
    bits, ends, all_columns, limit, most, word_thresholds, gram_thresholds, counts, starts, slots, arena,
    bitmaps, words, rows, column_words, sums, touched, planes, table, first, after, ids, most_ids,
):  # fmt: skip
    columns = np.empty(ends.size * limit, dtype=np.int64)
    overlaps = np.empty(columns.size, dtype=np.float64)
    found_ends, costs = np.zeros(ends.size, dtype=np.int64), np.zeros(ends.size, dtype=np.int64)
    nobody = np.empty(0, dtype=np.int64)
    start = size = 0
    for query in range(ends.size):
        own = bits[start : ends[query]]
        start = ends[query]
        weights = _weigh(own, counts, all_columns, word_thresholds, gram_thresholds)
        for place in range(own.size):
            if weights[place]:
                costs[query] += min(np.int64(counts[own[place]]), words)
        if costs[query] <= most:
            found, scores = _search(
                own, weights, limit, 1, nobody, counts, starts, slots, arena, bitmaps, words, rows,
                column_words, sums, touched, planes, table,
            )  # fmt: skip
            columns[size : size + found.size] = found
            overlaps[size : size + found.size] = scores / np.float64(max(1, weights.sum()))
            size += found.size
        found_ends[query] = size
    sizes = np.empty(size, dtype=np.int64)
    concepts = np.empty(_most_on(columns, size, first, after, most_ids), dtype=np.int64)
    _chain(columns, size, first, after, concepts, sizes, most_ids)
    return columns[:size], overlaps[:size], ids[concepts], sizes, found_ends, costs
