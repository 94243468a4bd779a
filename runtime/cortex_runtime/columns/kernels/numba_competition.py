"""The competition of concepts for columns, compiled: a run of them in one call."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cortex_runtime.columns.competition import MAX_CANDIDATES
from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.kernels import numba_search
from cortex_runtime.columns.weights import GRAM_THRESHOLDS, WORD_THRESHOLDS

if TYPE_CHECKING:
    from cortex_runtime.columns.model import CortexSettings
    from cortex_runtime.columns.overlay import Overlay
    from cortex_runtime.columns.search import Searcher

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint8]


def compete(
    searcher: Searcher, overlay: Overlay, settings: CortexSettings, rows: Rows, words: Words, free: Ints
) -> tuple[Ints, Floats, Ints]:
    """Let concepts compete, in order: see interfaces.CompetitionKernels."""
    searcher.make_scratch()
    pending = overlay.pending
    pending.make_room(words.size)
    before = pending.end
    columns, overlaps, winners, pending.counted, pending.end = _compete(
        rows, words, free, settings.radius, settings.join_threshold, min(settings.winners, MAX_CANDIDATES),
        overlay.occupied, overlay.hidden, pending.columns, pending.rows, pending.words, pending.counts,
        pending.met, pending.counted, before, WORD_THRESHOLDS, GRAM_THRESHOLDS,
        *numba_search._index(searcher),
    )  # fmt: skip
    overlay.occupied += pending.end - before
    return columns, overlaps, winners


def _compiled(signature: str) -> Any:
    return njit(signature, cache=True, nogil=True)


@_compiled("int64(uint16[::1], int32[::1], int64, float64[::1], float64[::1], uint8[::1])")
def _enter(row, counts, columns, words, grams, table):  # type: ignore[no-untyped-def]
    """Enter the weights of a row's bits into the table; return their sum."""
    total = 0
    for bit in row:
        if bit == PAD:
            break
        weight = numba_search.weight_of(bit, counts[bit], columns, words, grams)
        table[bit] = weight
        total += weight
    return total


@_compiled("void(uint16[::1], uint8[::1])")
def _clear(row, table):  # type: ignore[no-untyped-def]
    for bit in row:
        if bit == PAD:
            break
        table[bit] = 0


@_compiled("int64(uint16[::1], uint8[::1])")
def _shared(row, table):  # type: ignore[no-untyped-def]
    """Return the weight that a row shares with the one in the table."""
    score = 0
    for bit in row:
        if bit == PAD:
            break
        score += table[bit]
    return score


@_compiled("int64(uint16[:, ::1], int64, int64, int32[::1], boolean[::1])")
def _count(rows, counted, end, counts, met):  # type: ignore[no-untyped-def]
    """Count the bits of the rows that are not counted yet."""
    for row in rows[counted:end]:
        for bit in row:
            if bit == PAD:
                break
            counts[bit] += 1
            met[bit] = True
    return end


@_compiled("int64(int64[::1], int64[::1], int64, int64, int64)")
def _rank(keys, places, size, key, place):  # type: ignore[no-untyped-def]
    """Put a candidate among the best, the strongest first; return how many there are."""
    at = min(size, keys.size - 1)
    if size == keys.size and keys[at] >= key:
        return size
    while at and keys[at - 1] < key:
        keys[at], places[at] = keys[at - 1], places[at - 1]
        at -= 1
    keys[at], places[at] = key, place
    return min(size + 1, keys.size)


@_compiled(
    "int64(uint16[:, ::1], int64, int64[::1], float64, int64[::1], int32[::1], int64, float64[::1],"
    " float64[::1], uint8[::1])"
)
def _inhibit(rows, size, columns, radius, winners, counts, occupied, words, grams, table):  # type: ignore[no-untyped-def]
    """Write the winners: of rows, the strongest first, those that no stronger winner suppresses (greedy
    non-maximum suppression). Return the first one's total weight.
    """
    totals = np.empty(size, dtype=np.int64)
    for each in range(size if radius else 1):
        totals[each] = _enter(rows[each], counts, occupied, words, grams, table)
        _clear(rows[each], table)
    alive = np.ones(size, dtype=np.bool_)
    won = 0
    for winner in range(size):
        if won == winners.size:
            break
        if not alive[winner]:
            continue
        winners[won] = columns[winner]
        won += 1
        if not radius or won == winners.size or winner + 1 == size:
            continue
        _enter(rows[winner], counts, occupied, words, grams, table)
        for each in range(winner + 1, size):
            if alive[each]:
                shared = _shared(rows[each], table)
                alive[each] = shared < radius * max(1, totals[each] + totals[winner] - shared)
        _clear(rows[winner], table)
    return totals[0]


@_compiled("int64(int64, int64, int64)")
def _key(score, words, column):  # type: ignore[no-untyped-def]
    """Return a number that is greater for a better candidate: see search.ranking."""
    return (score << 38) - (words << 32) - column


@_compiled(
    "int64(int64[::1], int64[::1], int64, int64, int64, uint16[:, ::1], uint8[::1], int64[::1], uint8[::1])"
)
def _add_pending(keys, places, size, floor, end, rows, words, columns, table):  # type: ignore[no-untyped-def]
    """Rank the pending columns that share at least `floor` with the row in the table, by place -1, -2, ..."""
    for place in range(end):
        score = _shared(rows[place], table)
        if score >= floor:
            key = _key(score, np.int64(words[place]), columns[place])
            size = _rank(keys, places, size, key, -1 - place)
    return size


@_compiled(
    "UniTuple(int64, 3)(uint16[::1], int32[::1], boolean[::1], int64, float64[::1], float64[::1], int64[::1],"
    " int64[::1])"
)
def _weigh(row, counts, met, columns, word_steps, gram_steps, bits, weights):  # type: ignore[no-untyped-def]
    """Write a row's bits and their weights; return how many they are, what they weigh together, and how much
    of that pending columns may share.
    """
    size = own = met_by = 0
    for bit in row:
        if bit == PAD:
            break
        weight = numba_search.weight_of(bit, counts[bit], columns, word_steps, gram_steps)
        bits[size], weights[size] = bit, weight
        size += 1
        own += weight
        if met[bit]:
            met_by += weight
    return size, own, met_by


@_compiled(
    "float64(int64[::1], int64[::1], int64, int64, float64, int64[::1], uint16[:, ::1], uint8[::1],"
    " int64[::1], uint16[:, ::1], uint8[::1], int32[::1], int64, float64[::1], float64[::1], uint8[::1])"
)
def _decide(  # type: ignore[no-untyped-def]
    keys, places, candidates, own, radius, winners, column_rows, column_words, pending_columns, pending_rows,
    pending_words, counts, occupied, word_steps, gram_steps, table,
):  # fmt: skip
    """Write the winners among ranked candidates; return how similar the strongest is to what weighs `own`."""
    columns = np.empty(candidates, dtype=np.int64)
    rows = np.empty((candidates, MAX_BITS), dtype=np.uint16)
    for each in range(candidates):
        place = places[each]
        if place >= 0:
            columns[each], rows[each] = place, column_rows[place]
        else:
            columns[each], rows[each] = pending_columns[-1 - place], pending_rows[-1 - place]
    total = _inhibit(
        rows, candidates, columns, radius, winners, counts, occupied, word_steps, gram_steps, table
    )
    first = places[0]
    words = np.int64(column_words[first] if first >= 0 else pending_words[-1 - first])
    shared = (keys[0] + columns[0] + (words << 32)) >> 38
    return shared / max(1, own + total - shared)


def _made_with(search_source: int) -> Any:
    """Return the kernel, kept on disk only for as long as the search that is compiled into it is the same.

    numba sees when a function's own file changes, and what a function encloses, but not when another file
    does whose functions it calls.
    """

    @_compiled(
        "Tuple((int64[::1], float64[::1], int64[:, ::1], int64, int64))(uint16[:, ::1], uint8[::1],"
        " int64[::1], float64, float64, int64, int64, int64[::1], int64[::1], uint16[:, ::1], uint8[::1],"
        " int32[::1], boolean[::1], int64, int64, float64[::1], float64[::1],"
        " int32[::1], int64[::1], int16[::1], int32[::1], uint64[:, ::1], int64,"
        " uint16[:, ::1], uint8[::1], uint16[::1], int32[::1], int32[::1], uint8[::1])"
    )
    def compete(  # type: ignore[no-untyped-def]
        rows, words, free, radius, threshold, most, occupied, hidden,
        pending_columns, pending_rows, pending_words, counts, met, counted, end, word_steps, gram_steps,
        indexed, starts, slots, arena, bitmaps, bitmap_words, column_rows, column_words,
        sums, touched, candidates, table,
    ):  # fmt: skip
        assert search_source >= 0
        share = min(radius, threshold) if radius else threshold
        bits, weights = np.empty(MAX_BITS, dtype=np.int64), np.empty(MAX_BITS, dtype=np.int64)
        keys, places = np.empty(MAX_CANDIDATES, dtype=np.int64), np.empty(MAX_CANDIDATES, dtype=np.int64)
        columns, overlaps = np.empty(words.size, dtype=np.int64), np.zeros(words.size)
        winners = np.full((words.size, most), -1, dtype=np.int64)
        taken = 0
        for index in range(words.size):
            row = rows[index]
            counted = _count(pending_rows, counted, end, counts, met)
            size, own, met_by = _weigh(row, counts, met, occupied, word_steps, gram_steps, bits, weights)
            floor = max(1, int(np.ceil(share * own)))
            found, scores = numba_search._search(
                bits[:size], weights[:size], MAX_CANDIDATES, floor, hidden, indexed, starts, slots, arena,
                bitmaps, bitmap_words, column_rows, column_words, sums, touched, candidates, table,
            )  # fmt: skip
            ranked = found.size
            for each in range(ranked):
                column = places[each] = found[each]
                keys[each] = _key(scores[each], np.int64(column_words[column]), column)
            if met_by >= floor:
                for each in range(size):
                    table[bits[each]] = weights[each]
                ranked = _add_pending(
                    keys, places, ranked, floor, end, pending_rows, pending_words, pending_columns, table
                )
                _clear(row, table)
            if ranked:
                overlaps[index] = _decide(
                    keys, places, ranked, own, radius, winners[index], column_rows, column_words,
                    pending_columns, pending_rows, pending_words, counts, occupied, word_steps, gram_steps,
                    table,
                )  # fmt: skip
            if overlaps[index] >= threshold:
                columns[index] = winners[index, 0]
            elif taken < free.size:
                columns[index] = pending_columns[end] = free[taken]
                pending_rows[end], pending_words[end] = row, words[index]
                taken, end, occupied = taken + 1, end + 1, occupied + 1
            else:
                return columns[:index], overlaps[:index], winners[:index], counted, end
        return columns, overlaps, winners, counted, end

    return compete


_compete = _made_with(zlib.crc32(Path(numba_search.__file__).read_bytes()))
