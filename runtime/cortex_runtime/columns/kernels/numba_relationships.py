"""Finding, entering and rewriting edges, compiled. See interfaces.RelationshipsKernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from cortex_runtime.columns.kernels.interfaces import Flags, Ints, Numbers, Types, Weights

_N, _R, _T, _W = "int32[::1]", "int64[::1]", "uint16[::1]", "float32[::1]"
_HELD = f"{_N}, {_N}, {_N}, {_N}, {_N}, {_N}, {_T}"


@njit(f"int64[::1]({_N}, {_N}, {_N}, {_T}, {_R}, {_R}, {_R})", cache=True, nogil=True)
def find_compressed(
    starts: Numbers, in_starts: Numbers, in_places: Numbers, held: Types,
    sources: Ints, targets: Ints, types: Ints,
) -> Ints:  # fmt: skip
    """Find the first edge to the target that is of the source by halving, then its type."""
    found = np.full(sources.size, -1, dtype=np.int64)
    last = starts.size - 1
    for index in range(sources.size):
        source, target = sources[index], targets[index]
        if source >= last or target >= last:
            continue
        begin, end = starts[source], starts[source + 1]
        low, high = in_starts[target], in_starts[target + 1]
        bound = high
        while low < high:
            middle = (low + high) >> 1
            if in_places[middle] < begin:
                low = middle + 1
            else:
                high = middle
        while low < bound and in_places[low] < end:
            if held[in_places[low]] == types[index]:
                found[index] = in_places[low]
                break
            low += 1
    return found


@njit(f"int64({_HELD}, int64, int64, int64)", cache=True, nogil=True)
def _place_of(
    out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
    held_sources: Numbers, held_targets: Numbers, held_types: Types, source: int, target: int, type_: int,
) -> int:  # fmt: skip
    leaving, arriving = out_heads[source], in_heads[target]
    while leaving and arriving:
        place: int = leaving - 1
        if held_targets[place] == target and held_types[place] == type_:
            return place
        leaving = out_next[place]
        place = arriving - 1
        if held_sources[place] == source and held_types[place] == type_:
            return place
        arriving = in_next[place]
    return -1


@njit(f"int64[::1]({_HELD}, {_R}, {_R}, {_R})", cache=True, nogil=True)
def find_recent(
    out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
    held_sources: Numbers, held_targets: Numbers, held_types: Types,
    sources: Ints, targets: Ints, types: Ints,
) -> Ints:  # fmt: skip
    """Find one after the other."""
    found = np.full(sources.size, -1, dtype=np.int64)
    for index in range(sources.size):
        if sources[index] < out_heads.size and targets[index] < out_heads.size:
            found[index] = _place_of(
                out_heads, in_heads, out_next, in_next, held_sources, held_targets, held_types,
                sources[index], targets[index], types[index],
            )  # fmt: skip
    return found


@njit(f"Tuple((int64, boolean[::1]))({_HELD}, {_W}, int64, {_R}, {_R}, {_R}, {_W})", cache=True, nogil=True)
def enter(
    out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
    held_sources: Numbers, held_targets: Numbers, held_types: Types, held_weights: Weights, used: int,
    sources: Ints, targets: Ints, types: Ints, weights: Weights,
) -> tuple[int, Flags]:  # fmt: skip
    """Enter one after the other."""
    fresh = np.zeros(sources.size, dtype=np.bool_)
    for index in range(sources.size):
        source, target = sources[index], targets[index]
        place = _place_of(
            out_heads, in_heads, out_next, in_next, held_sources, held_targets, held_types,
            source, target, types[index],
        )  # fmt: skip
        if place < 0:
            place = used
            used += 1
            held_sources[place], held_targets[place], held_types[place] = source, target, types[index]
            out_next[place], in_next[place] = out_heads[source], in_heads[target]
            out_heads[source] = in_heads[target] = place + 1
            fresh[index] = True
        elif held_weights[place] == 0:
            fresh[index] = True
        held_weights[place] = weights[index]
    return used, fresh


@njit(f"UniTuple(int64[::1], 2)({_N}, {_N}, {_N}, {_R})", cache=True, nogil=True)
def chained(
    heads: Numbers, following: Numbers, keys: Numbers, rows: Ints,  # noqa: ARG001 - for scans alone
) -> tuple[Ints, Ints]:  # fmt: skip
    """Count the links, then follow them."""
    count = 0
    for row in rows:
        place = heads[row] if row < heads.size else 0
        while place:
            count += 1
            place = following[place - 1]
    owners, places = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    count = 0
    for index in range(rows.size):
        place = heads[rows[index]] if rows[index] < heads.size else 0
        while place:
            owners[count], places[count] = index, place - 1
            count += 1
            place = following[place - 1]
    return owners, places


@njit(f"void({_N}, int64, {_N}, {_N})", cache=True, nogil=True)
def scatter(keys: Numbers, first: int, ends: Numbers, places: Numbers) -> None:
    """Put one after the other."""
    for index in range(keys.size):
        end = ends[keys[index] + 1]
        places[end] = first + index
        ends[keys[index] + 1] = end + 1


@njit(
    f"void({_N}, {_N}, {_T}, {_W}, {_N}, {_N}, {_N}, {_N}, {_T}, {_W}, {_N}, {_N}, {_N}, {_T}, {_W}, {_R},"
    " int64, int64)",
    cache=True, nogil=True,
)  # fmt: skip
def copy_rows(
    starts: Numbers, targets: Numbers, types: Types, weights: Weights, copies: Numbers,
    more_starts: Numbers, order: Numbers, more_targets: Numbers, more_types: Types,
    more_weights: Weights, more_copies: Numbers,
    new_starts: Numbers, new_targets: Numbers, new_types: Types, new_weights: Weights,
    cursor: Ints, rows: int, edges: int,
) -> None:  # fmt: skip
    """Copy an edge at a time."""
    row, at, more_at, out = cursor[0], cursor[1], cursor[2], cursor[3]
    last = min(row + rows, new_starts.size - 1)
    budget, last_start = edges, starts.size - 1
    while row < last and budget > 0:
        end = starts[min(row + 1, last_start)]
        stop = min(end, at + budget)
        budget -= stop - at
        while at < stop:
            if weights[at] != 0:
                new_targets[out], new_types[out], new_weights[out] = targets[at], types[at], weights[at]
                out += 1
                copies[at] = out
            at += 1
        stop = min(more_starts[row + 1], more_at + budget) if at == end else more_at
        budget -= stop - more_at
        while more_at < stop:
            place = order[more_at]
            if more_weights[place] != 0:
                new_targets[out], new_types[out] = more_targets[place], more_types[place]
                new_weights[out] = more_weights[place]
                out += 1
                more_copies[place] = out
            more_at += 1
        if at == end and more_at == more_starts[row + 1]:
            row += 1
            new_starts[row] = out
    cursor[0], cursor[1], cursor[2], cursor[3] = row, at, more_at, out
