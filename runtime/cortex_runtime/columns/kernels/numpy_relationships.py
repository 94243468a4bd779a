"""Finding, entering and rewriting edges, in numpy alone. See interfaces.RelationshipsKernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.kernels.interfaces import Flags, Ints, Numbers, Types, Weights

_FEW_LINKS = 32  # of chains that are followed, all at once, before what is left is sooner found by a scan


def find_compressed(
    starts: Numbers, in_starts: Numbers, in_places: Numbers, held: Types,
    sources: Ints, targets: Ints, types: Ints,
) -> Ints:  # fmt: skip
    """Find the first edge to the target that is of the source by halving, then its type."""
    found = np.full(sources.size, -1, dtype=np.int64)
    last = starts.size - 1
    left = np.flatnonzero((sources < last) & (targets < last))
    begins, ends = starts[sources[left]], starts[sources[left] + 1]
    low, high = in_starts[targets[left]].astype(np.int64), in_starts[targets[left] + 1].astype(np.int64)
    bound, end = high, max(in_places.size - 1, 0)
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        below = (low < high) & (in_places[np.minimum(middle, end)] < begins)
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    while left.size:
        there = low < bound
        places = in_places[np.where(there, low, 0)] if in_places.size else low
        there &= places < ends
        same = there & (held[np.where(there, places, 0)] == types[left]) if held.size else there
        found[left[same]] = places[same]
        go_on = there & ~same
        left, low, bound, ends = left[go_on], low[go_on] + 1, bound[go_on], ends[go_on]
    return found


def find_recent(
    out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
    held_sources: Numbers, held_targets: Numbers, held_types: Types,
    sources: Ints, targets: Ints, types: Ints,
) -> Ints:  # fmt: skip
    """Follow all chains side by side, a link of each at a time."""
    found = np.full(sources.size, -1, dtype=np.int64)
    left = np.flatnonzero((sources < out_heads.size) & (targets < out_heads.size))
    leaving, arriving = out_heads[sources[left]], in_heads[targets[left]]
    while (go_on := (leaving > 0) & (arriving > 0)).any():
        left, leaving, arriving = left[go_on], leaving[go_on] - 1, arriving[go_on] - 1
        same = (held_targets[leaving] == targets[left]) & (held_types[leaving] == types[left])
        found[left[same]] = leaving[same]
        also = (held_sources[arriving] == sources[left]) & (held_types[arriving] == types[left])
        found[left[also]] = arriving[also]
        same |= also
        left, leaving, arriving = left[~same], out_next[leaving[~same]], in_next[arriving[~same]]
    return found


def enter(
    out_heads: Numbers, in_heads: Numbers, out_next: Numbers, in_next: Numbers,
    held_sources: Numbers, held_targets: Numbers, held_types: Types, held_weights: Weights, used: int,
    sources: Ints, targets: Ints, types: Ints, weights: Weights,
) -> tuple[int, Flags]:  # fmt: skip
    """Enter those that are not there together; of the same edge given twice the last weight counts."""
    places = find_recent(
        out_heads, in_heads, out_next, in_next, held_sources, held_targets, held_types,
        sources, targets, types,
    )  # fmt: skip
    fresh = np.zeros(sources.size, dtype=np.bool_)
    new = np.flatnonzero(places < 0)
    if new.size:
        order = np.lexsort((types[new], targets[new], sources[new])) if new.size > 1 else np.zeros(1, int)
        keys = np.stack((sources[new], targets[new], types[new]))[:, order]
        again = np.append(False, (keys[:, 1:] == keys[:, :-1]).all(axis=0))
        leaders = order[~again]  # the first of those that are the same: the sort is stable
        fresh[new[leaders]] = True
        ranks = np.cumsum(fresh[new]) - 1
        places[new[order]] = used + ranks[leaders[np.cumsum(~again) - 1]]
        first = new[np.sort(leaders)]
        end = used + first.size
        held_sources[used:end], held_targets[used:end] = sources[first], targets[first]
        held_types[used:end] = types[first]
        _chain(out_heads, out_next, held_sources[used:end], used)
        _chain(in_heads, in_next, held_targets[used:end], used)
        used = end
    removed = np.flatnonzero((held_weights[places] == 0) & ~fresh)
    if removed.size:
        removed = removed[~np.isin(places[removed], places[fresh])]
        fresh[removed[np.unique(places[removed], return_index=True)[1]]] = True
    held_weights[places] = weights
    return used, fresh


def chained(heads: Numbers, following: Numbers, keys: Numbers, rows: Ints) -> tuple[Ints, Ints]:
    """Follow all chains a link at a time; when some are long, look at all edges for what is left."""
    owners = np.flatnonzero(rows < heads.size)
    places = heads[rows[owners]].astype(np.int64)
    found: list[tuple[Ints, Ints]] = []
    for _ in range(_FEW_LINKS):
        owners, places = owners[places > 0], places[places > 0] - 1
        if not places.size:
            break
        found.append((owners, places))
        places = following[places].astype(np.int64)
    else:
        owners, places = owners[places > 0], places[places > 0]
        if places.size:
            found.append(_scanned(keys, rows, owners, places))
    if not found:
        return owners, places
    return np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found])


def scatter(keys: Numbers, first: int, ends: Numbers, places: Numbers) -> None:
    """Sort by key, and put each key's at once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order].astype(np.int64) + 1
    leaders = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: keys.size])
    counts = np.diff(np.append(leaders, keys.size))
    shifts = ends[ordered[leaders]] - leaders
    places[np.arange(keys.size) + np.repeat(shifts, counts)] = first + order
    ends[ordered[leaders]] += counts.astype(np.int32)


def copy_rows(
    starts: Numbers, targets: Numbers, types: Types, weights: Weights, copies: Numbers,
    more_starts: Numbers, order: Numbers, more_targets: Numbers, more_types: Types,
    more_weights: Weights, more_copies: Numbers,
    new_starts: Numbers, new_targets: Numbers, new_types: Types, new_weights: Weights,
    cursor: Ints, rows: int, edges: int,
) -> None:  # fmt: skip
    """Copy whole rows together; of a row that is too long, a part of the one kind, then of the other."""
    row, at, more_at, out = cursor.tolist()
    last = _reach(starts, at + edges, min(row + rows, new_starts.size - 1))
    last = _reach(more_starts, more_at + edges, last)
    whole, last = last > row, max(last, row + 1)
    bounds = starts[np.minimum(np.arange(row, last + 1), starts.size - 1)]
    end = min(int(bounds[-1]), at + edges)
    more_bounds = more_starts[row : last + 1]
    more_end = min(int(more_bounds[-1]), more_at + edges) if end == bounds[-1] else more_at
    kept = np.flatnonzero(weights[at:end])
    picked = order[more_at:more_end]
    alive = np.flatnonzero(more_weights[picked])
    picked = picked[alive]
    of_row = _owners(bounds, at, end)[kept]
    kept += at
    size = kept.size + picked.size
    places = out + np.arange(size)
    if picked.size:
        of_row = np.concatenate((of_row, _owners(more_bounds, more_at, more_end)[alive]))
        places[np.argsort(of_row, kind="stable")] = out + np.arange(size)
    for old, more, new in (
        (targets, more_targets, new_targets), (types, more_types, new_types),
        (weights, more_weights, new_weights),
    ):  # fmt: skip
        new[places[: kept.size]], new[places[kept.size :]] = old[kept], more[picked]
    copies[kept], more_copies[picked] = places[: kept.size] + 1, places[kept.size :] + 1
    if whole or (end == bounds[-1] and more_end == more_bounds[-1]):
        new_starts[row + 1 : last + 1] = out + np.cumsum(np.bincount(of_row, minlength=last - row))
        row = last
    cursor[:] = row, end, more_end, out + size


def _reach(starts: Numbers, end: int, most: int) -> int:
    """Return up to which row, at most `most`, all edges are before `end`."""
    if end >= starts[-1]:
        return most
    return min(most, int(np.searchsorted(starts, np.int32(end), side="right")) - 1)


def _owners(bounds: Numbers, begin: int, end: int) -> npt.NDArray[np.uint16]:
    """Return of each place from `begin` to `end` between which of the bounds it is."""
    clipped = np.clip(bounds, begin, end)
    lengths = clipped[1:] - clipped[:-1]
    return np.repeat(np.arange(lengths.size, dtype=np.uint16), lengths)


def _scanned(keys: Numbers, rows: Ints, owners: Ints, below: Ints) -> tuple[Ints, Ints]:
    """Return the edges of rows[owners] at places before `below`, and the owner of each."""
    order = np.argsort(rows[owners], kind="stable")
    wanted, owners, below = rows[owners][order], owners[order], below[order]
    among = np.zeros(int(keys.max()) + 1, dtype=np.bool_)
    among[wanted] = True
    places = np.flatnonzero(among[keys])
    begins = np.searchsorted(wanted, keys[places], side="left")
    counts = np.searchsorted(wanted, keys[places], side="right") - begins
    index = np.arange(counts.sum()) + np.repeat(begins - np.cumsum(counts) + counts, counts)
    places = np.repeat(places, counts)
    before = places < below[index]
    return owners[index[before]], places[before]


def _chain(heads: Numbers, following: Numbers, keys: Numbers, first: int) -> None:
    """Put the edges at places from `first` on, of rows `keys`, before the others in their chains."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    leading = np.append(True, ordered[1:] != ordered[:-1])
    links = np.append(0, order[:-1] + first + 1)
    links[leading] = heads[ordered[leading]]
    following[first + order] = links
    heads[ordered] = first + order + 1
