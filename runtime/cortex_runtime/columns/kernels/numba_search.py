"""The search for the best columns, compiled. What it does step by step: see search.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.concepts import Concepts
from cortex_runtime.columns.encoding import PAD, WORD_BITS
from cortex_runtime.columns.search import MAX_IDS, PLANES, FoundMany, Searcher
from cortex_runtime.columns.weights import GRAM_STEPS, GRAM_THRESHOLDS, WORD_STEPS, WORD_THRESHOLDS

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
_GROWN = 8  # times as many columns as when the best were looked at, and they are looked at again
_SHORT = 2  # of a list: so many times as many columns were touched
_POSTINGS_A_ROW = 64  # fetching a column's row, which is in no cache, costs as much as so many postings
_BLOCK = 128  # words of all bitmaps that are gone through together: they stay in the nearest cache
_SINGLE = 6  # columns of a word's 64 that are summed up one by one


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
        arrays.bits, arrays.words, searcher.sums, searcher.touched, searcher.candidates, searcher.table,
    )  # fmt: skip


def _compiled(signature: str) -> Any:
    return njit(signature, cache=True, nogil=True)


@_compiled("int64(int64, int64, int64, float64[::1], float64[::1])")
def weight_of(bit, count, columns, words, grams):  # type: ignore[no-untyped-def]
    """Return the weight of a bit: see weights.weights_of.

    The logarithm is guessed, by the chord, to be at most a step too low; the thresholds decide.
    """
    ratio = (2.0 * columns + 2.0) / (2.0 * count + 1.0)
    thresholds, steps = (words, WORD_STEPS) if bit < WORD_BITS else (grams, GRAM_STEPS)
    mantissa, exponent = math.frexp(ratio)
    weight = min(max(0, np.int64(steps * (exponent - 2 + 2 * mantissa))), thresholds.size)
    while weight and thresholds[weight - 1] > ratio:
        weight -= 1
    while weight < thresholds.size and thresholds[weight] <= ratio:
        weight += 1
    return weight


@_compiled("int64[::1](int64[::1], int32[::1], int64, float64[::1], float64[::1])")
def _weigh(bits, counts, columns, words, grams):  # type: ignore[no-untyped-def]
    weights = np.zeros(bits.size, dtype=np.int64)
    for place in range(bits.size):
        bit = bits[place]
        if bit != PAD:
            weights[place] = weight_of(bit, counts[bit], columns, words, grams)
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
# often as not, and a wrong guess costs more than all else that is done for a column. Columns are unsigned, so
# that no index is looked at for being negative.


@_compiled("int64(int32[::1], int64, int64, uint16[::1], int32[::1])")
def _visit(entries, weight, count, sums, touched):  # type: ignore[no-untyped-def]
    """Add a list's weight to its columns; return how many were touched so far."""
    for at in range(entries.size):
        column = np.uint32(entries[at])
        total = sums[column]
        touched[count] = column
        count += total == 0
        sums[column] = total + np.uint16(weight)
    return count


@_compiled("void(int32[::1], int64, uint16[::1])")
def _add(entries, weight, sums):  # type: ignore[no-untyped-def]
    """Add a list's weight to those of its columns that were touched."""
    for at in range(entries.size):
        column = np.uint32(entries[at])
        sums[column] += np.uint16(weight) * np.uint16(sums[column] > 0)


@_compiled("void(int32[::1], int64, uint16[::1])")
def _forget(touched, count, sums):  # type: ignore[no-untyped-def]
    for at in range(count):
        sums[np.uint32(touched[at])] = 0


@_compiled("int64(int32[::1], int64, uint16[::1], int64, int32[::1])")
def _possible(columns, count, sums, least, candidates):  # type: ignore[no-untyped-def]
    """Write the columns that have at least that sum; return how many they are."""
    kept = 0
    for at in range(count):
        column = np.uint32(columns[at])
        candidates[kept] = column
        kept += np.int64(sums[column]) >= least
    return kept


@_compiled("int64(int32[::1], int64, uint16[::1], uint64[::1], int64, int64)")
def _possible_by(candidates, count, sums, bitmap, weight, least):  # type: ignore[no-untyped-def]
    """Do as `_possible`, after having added the weight of a bitmap to the candidates that are in it."""
    kept = 0
    for at in range(count):
        column = np.uint32(candidates[at])
        candidates[kept] = column
        has = (bitmap[column >> np.uint32(6)] >> np.uint64(column & np.uint32(63))) & np.uint64(1)
        total = np.int64(sums[column]) + weight * np.int64(has)
        sums[column] = total
        kept += total >= least
    return kept


@_compiled("UniTuple(int64, 2)(int32[::1], int64, uint16[::1], int64, int32[::1], int64[::1])")
def _possible_and_leading(touched, count, sums, least, candidates, leading):  # type: ignore[no-untyped-def]
    """Do as `_possible`, and write those that share the most so far, as sum << 32 | column; return how many
    there are of each.
    """
    kept = size = 0
    bar = np.int64(0)
    for at in range(count):
        column = np.uint32(touched[at])
        total = np.int64(sums[column])
        candidates[kept] = column
        kept += total >= least
        if total > bar:  # rarely: most columns share one bit
            size = _keep(leading, size, (total << 32) | np.int64(column))
            if size == leading.size:
                bar = leading[0] >> 32
    return kept, size


@_compiled("int64(int64[::1], int64, uint16[:, ::1], uint8[::1], int64, int64[::1], int64)")
def _raised(leading, leaders, rows, table, limit, without, bound):  # type: ignore[no-untyped-def]
    """Return the bound, raised to what the best of the columns that lead so far share in all."""
    best, size = np.empty(limit, dtype=np.int64), 0
    for each in range(leaders):
        column = leading[each] & 0xFFFFFFFF
        if not (without.size and _is_in(without, column)):
            size = _keep(best, size, _exact(rows, column, table))
    return max(bound, best[0]) if size == limit else bound


@_compiled("int64(uint64)")
def _ones(word):  # type: ignore[no-untyped-def]
    """Return how many bits are set in a word (Knuth, TAOCP 4A, 7.1.3)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@_compiled("int64(uint64[:, ::1], int64[::1], int64[::1], int64, int64, uint64[:, ::1])")
def _sum_up(bitmaps, slots, weights, start, size, planes):  # type: ignore[no-untyped-def]
    """Sum up the weights of bitmaps for `size` words of 64 columns; return how many planes the sums take.

    Bit j of a column's sum is the column's bit in planes[j]: bit-sliced addition with a carry, the lightest
    first, since a sum takes no more planes than it may be long.
    """
    carry = np.empty(_BLOCK, dtype=np.uint64)
    planes[:] = 0
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
                    one, two, three = sums[at], bitmap[start + at], carry[at]
                    sums[at] = one ^ two ^ three
                    carry[at] = (one & two) | (three & (one | two))
            else:
                for at in range(size):
                    one, three = sums[at], carry[at]
                    sums[at] = one ^ three
                    carry[at] = one & three
            plane += 1
    return plane


@_compiled("int64(uint64[:, ::1], int64, int64, int64)")
def _at_rank(planes, used, size, rank):  # type: ignore[no-untyped-def]
    """Return the sum that so many columns reach: the highest such one, found from its top bit down."""
    alive = np.empty(size, dtype=np.uint64)
    alive[:] = ~np.uint64(0)
    least = 0
    for plane in range(used - 1, -1, -1):
        having = 0
        for at in range(size):
            having += _ones(alive[at] & planes[plane, at])
        if having >= rank:
            least |= 1 << plane
            for at in range(size):
                alive[at] &= planes[plane, at]
        else:
            rank -= having
            for at in range(size):
                alive[at] &= ~planes[plane, at]
    return least


@_compiled("void(uint64[:, ::1], int64, int64, int64, uint64[::1])")
def _reaching(planes, used, size, bound, alive):  # type: ignore[no-untyped-def]
    """Write which columns' sums reach the bound."""
    for at in range(size):
        above, level = np.uint64(0), ~np.uint64(0)
        for plane in range(used - 1, -1, -1):
            if (bound >> plane) & 1:
                level &= planes[plane, at]
            else:
                above |= level & planes[plane, at]
                level &= ~planes[plane, at]
        alive[at] = above | level


@_compiled("int64(uint64[:, ::1], int64[::1], int64[::1], int64, int64, int64, uint64[::1])")
def _able(bitmaps, slots, weights, slack, start, size, alive):  # type: ignore[no-untyped-def]
    """Write which columns may lack no more than the slack; return how many they are.

    Bitmaps are grouped, the heaviest first, so that each group weighs more than the slack: a column that
    reaches the bound is in at least one bitmap of each group.
    """
    group = np.zeros(_BLOCK, dtype=np.uint64)
    alive[:size] = ~np.uint64(0)
    together = 0
    for each in range(slots.size):
        bitmap = bitmaps[slots[each]]
        together += weights[each]
        for at in range(size):
            group[at] |= bitmap[start + at]
        if together > slack:
            for at in range(size):
                alive[at] &= group[at]
                group[at] = 0
            together = 0
    count = 0
    for at in range(size):
        count += _ones(alive[at])
    return count


@_compiled(
    "UniTuple(int64, 2)(uint64[:, ::1], int64, int64[::1], int64[::1], int64, uint16[::1], uint8[::1],"
    " int64[::1], int64[::1], int64)"
)
def _keep_unseen(  # type: ignore[no-untyped-def]
    bitmaps, words, slots, weights, bound, sums, column_words, without, heap, size
):
    """Keep the best of the columns that no list has and that bitmaps alone lift to the bound; return how many
    are kept, and the bound, which rises from block to block.
    """
    total = weights.sum()
    planes, alive = np.empty((PLANES, _BLOCK), dtype=np.uint64), np.empty(_BLOCK, dtype=np.uint64)
    for start in range(0, words, _BLOCK):
        if bound > total:
            break
        block = min(_BLOCK, words - start)
        able = _able(bitmaps, slots, weights, total - bound, start, block, alive)
        if able > _SINGLE * block:  # so many are summed up faster side by side than one by one
            used = _sum_up(bitmaps, slots, weights, start, block, planes)
            bound = max(bound, _at_rank(planes, used, block, heap.size + without.size))
            _reaching(planes, used, block, bound, alive)
        for at in range(block if able else 0):
            left = alive[at]
            while left:
                lowest = left & (~left + np.uint64(1))
                left ^= lowest
                column = 64 * (start + at) + _ones(lowest - np.uint64(1))
                if sums[column] or (without.size and _is_in(without, column)):
                    continue
                score = 0
                for each in range(slots.size):
                    score += weights[each] * np.int64((bitmaps[slots[each], start + at] & lowest) != 0)
                if score >= bound:
                    size = _keep(heap, size, _key(score, column_words, column))
                    if size == heap.size:
                        bound = max(bound, _score_in(heap[0]))
    return size, bound


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


@_compiled(
    "UniTuple(int64, 4)(int64[::1], int64[::1], int64[::1], int64, int64, int64, boolean, int64[::1],"
    " int32[::1], int64[::1], int32[::1], uint16[:, ::1], uint16[::1], int32[::1], int32[::1], int64[::1],"
    " uint8[::1])"
)
def _visit_lists(  # type: ignore[no-untyped-def]
    bits, weights, lists, rest, limit, bound, raising, without, counts, starts, arena, rows, sums, touched,
    candidates, leading, table,
):  # fmt: skip
    """Visit lists until nobody unseen can be among the best.

    Return how many were visited, how many columns were touched, what is left to visit, and the bound.
    """
    count = at = 0
    looked_at = limit
    while at < lists.size and rest >= bound:
        bit, weight = bits[lists[at]], weights[lists[at]]
        count = _visit(arena[starts[bit] : starts[bit] + counts[bit]], weight, count, sums, touched)
        rest -= weight
        at += 1
        if raising and count >= _GROWN * looked_at and rest >= bound:  # to look costs as much as to visit
            looked_at = count
            _, leaders = _possible_and_leading(touched, count, sums, 0, candidates, leading)
            bound = _raised(leading, leaders, rows, table, limit, without, bound)
    return at, count, rest, bound


@_compiled(
    "UniTuple(int64, 3)(int64[::1], int64[::1], int64[::1], int64[::1], int64, int64, int64, boolean, int64,"
    " int64[::1], int32[::1], int64[::1], int16[::1], int32[::1], uint64[:, ::1], uint16[:, ::1],"
    " uint16[::1], int32[::1], int32[::1], int64[::1], uint8[::1])"
)
def _narrow(  # type: ignore[no-untyped-def]
    bits, weights, lists, maps, count, rest, bound, raising, limit, without, counts, starts, slots, arena,
    bitmaps, rows, sums, touched, candidates, leading, table,
):  # fmt: skip
    """Write the touched columns that can reach the bound: by the lists that are left and the bitmaps, in turn
    whichever is cheaper for its weight, but by no list that costs more than to fetch the candidates' rows.
    Return how many they are, what is left, and the bound.
    """
    of_lists = of_maps = 0
    while raising and of_lists < lists.size and _SHORT * counts[bits[lists[of_lists]]] <= count:
        place = lists[of_lists]  # costs less than to go through all that was touched
        of_lists += 1
        rest -= weights[place]
        start = starts[bits[place]]
        _add(arena[start : start + counts[bits[place]]], weights[place], sums)
    kept, leaders = _possible_and_leading(touched, count, sums, bound - rest, candidates, leading)
    if raising:
        bound = _raised(leading, leaders, rows, table, limit, without, bound)
    while kept and (of_lists < lists.size or of_maps < maps.size):
        by_list = of_lists < lists.size
        if by_list and of_maps < maps.size:
            a_list, a_map = lists[of_lists], maps[of_maps]
            by_list = counts[bits[a_list]] * weights[a_map] < kept * weights[a_list]
        if not by_list:
            place = maps[of_maps]
            of_maps += 1
            rest -= weights[place]
            bitmap = bitmaps[slots[bits[place]]]
            kept = _possible_by(candidates, kept, sums, bitmap, weights[place], bound - rest)
            continue
        place = lists[of_lists]
        bit, weight = bits[place], weights[place]
        if counts[bit] >= _POSTINGS_A_ROW * kept:
            of_lists = lists.size
            continue
        of_lists += 1
        rest -= weight
        _add(arena[starts[bit] : starts[bit] + counts[bit]], weight, sums)
        kept = _possible(candidates, kept, sums, bound - rest, candidates)
    return kept, rest, bound


@_compiled(
    "UniTuple(int64, 2)(int32[::1], int64, int64, uint16[::1], uint16[:, ::1], uint8[::1], uint8[::1],"
    " int64[::1], int64[::1], int64)"
)
def _keep_seen(  # type: ignore[no-untyped-def]
    candidates, count, rest, sums, rows, column_words, table, without, heap, bound
):
    """Keep the best of the candidates; return how many are kept, and the bound."""
    size = 0
    for each in range(count):
        column = np.int64(candidates[each])
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
    " int32[::1], int32[::1], uint8[::1])"
)
def _search(  # type: ignore[no-untyped-def]
    bits, weights, limit, floor, without, counts, starts, slots, arena, bitmaps, words, rows, column_words,
    sums, touched, candidates, table,
):  # fmt: skip
    for place in range(bits.size):
        table[bits[place]] = weights[place]
    lists, maps = _split(bits, weights, counts, slots)
    in_maps = weights[maps].sum()
    rest, bound = weights[lists].sum() + in_maps, max(floor, 1)
    raising = 2 * bound < rest  # few columns reach more than that: no need to look for the best of them
    leading = np.empty(limit + without.size + limit // 2, dtype=np.int64)
    at, count, rest, bound = _visit_lists(
        bits, weights, lists, rest, limit, bound, raising, without, counts, starts, arena, rows, sums,
        touched, candidates, leading, table,
    )  # fmt: skip
    kept, rest, bound = _narrow(
        bits, weights, lists[at:], maps, count, rest, bound, raising, limit, without, counts, starts, slots,
        arena, bitmaps, rows, sums, touched, candidates, leading, table,
    )  # fmt: skip
    heap = np.empty(limit, dtype=np.int64)
    size, bound = _keep_seen(candidates, kept, rest, sums, rows, column_words, table, without, heap, bound)
    if at == lists.size and maps.size and in_maps >= bound:  # nobody has looked at common bits alone
        size, bound = _keep_unseen(
            bitmaps, words, slots[bits[maps]].astype(np.int64), weights[maps], bound, sums, column_words,
            without, heap, size,
        )  # fmt: skip
    _forget(touched, count, sums)
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
    " int32[::1], uint8[::1], int32[::1], int32[::1], uint8[:, ::1], int64)"
)
def _find_many(  # type: ignore[no-untyped-def]
    bits, ends, all_columns, limit, most, word_thresholds, gram_thresholds, counts, starts, slots, arena,
    bitmaps, words, rows, column_words, sums, touched, candidates, table, first, after, ids, most_ids,
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
                column_words, sums, touched, candidates, table,
            )  # fmt: skip
            columns[size : size + found.size] = found
            overlaps[size : size + found.size] = scores / np.float64(max(1, weights.sum()))
            size += found.size
        found_ends[query] = size
    sizes = np.empty(size, dtype=np.int64)
    concepts = np.empty(_most_on(columns, size, first, after, most_ids), dtype=np.int64)
    _chain(columns, size, first, after, concepts, sizes, most_ids)
    return columns[:size], overlaps[:size], ids[concepts], sizes, found_ends, costs
