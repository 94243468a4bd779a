"""Queries: the columns most like a text, and what is related to them. They change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import Encoding
from cortex_runtime.columns.model import MAX_HOPS, MAX_K, InvalidQueryError
from cortex_runtime.columns.search import Found, weights_of
from cortex_runtime.columns.spreading import Spread

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

MAX_IDS = 64
UNIT = 1024


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path that explains a match."""

    source: bytes
    type: str
    target: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """A column that was found.

    ids: its concepts, the latest first, at most 64; of a column that was only reached over relationships,
    those that were reached. overlap: share (0-1) of the query's weight that is in
    the column's bits. activation: the overlap, or what came over the path when that is more.
    """

    ids: tuple[bytes, ...]
    column: int
    overlap: float
    activation: float
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Matches by falling activation. capped: a budget ended the search, there may be better ones."""

    matches: tuple[Match, ...]
    capped: bool


def query(cortex: Cortex, encoding: Encoding, k: int, *, hops: int, decay: float) -> QueryResult:
    """Return up to k columns by overlap and, with hops, up to k more that are reached from them.

    A concept on a found column hands on its activation · decay · weight over each relationship from it; of
    several paths the strongest counts. Raises InvalidQueryError (k outside 1-1,000, hops outside 0-3, decay
    outside (0, 1]).
    """
    if not 1 <= k <= MAX_K or not 0 <= hops <= MAX_HOPS or not 0 < decay <= 1:
        raise InvalidQueryError(
            f"One of them is impossible: k {k} (1 to {MAX_K}), hops {hops} (0 to {MAX_HOPS}), decay {decay}"
            " (above 0, at most 1)."
        )
    bits = encoding.bits.astype(np.int64)
    weights = weights_of(bits, cortex.postings.counts[bits], cortex.columns)
    total = max(1, int(weights.sum()))
    found = cortex.searcher.search(bits, weights, limit=k, budget=cortex.settings.budget * UNIT)
    overlaps = found.scores / total
    if not hops or not found.columns.size:
        return QueryResult(_direct(cortex, found, overlaps), found.capped)
    spread = _spread(cortex, found, overlaps, hops, decay)
    reached = _reached(cortex, spread, found.columns, k)
    shared = cortex.searcher.shared(
        bits, weights, cortex.arrays.bits[np.array(list(reached), dtype=np.int64)]
    )
    matches = _seeds(cortex, spread, found, overlaps)
    for (column, rows), overlap in zip(reached.items(), (shared / total).tolist(), strict=True):
        matches.append(_match(cortex, spread, column, rows, overlap))
    matches.sort(key=lambda match: (-match.activation, match.column))
    return QueryResult(tuple(matches), found.capped or spread.capped)


def _direct(cortex: Cortex, found: Found, overlaps: npt.NDArray[np.float64]) -> tuple[Match, ...]:
    return tuple(
        Match(cortex.ids_of(column, MAX_IDS), column, overlap, overlap)
        for column, overlap in zip(found.columns.tolist(), overlaps.tolist(), strict=True)
    )


def _spread(
    cortex: Cortex, found: Found, overlaps: npt.NDArray[np.float64], hops: int, decay: float
) -> Spread:
    concepts = cortex.concepts
    on = [concepts.on(column, MAX_IDS) for column in found.columns.tolist()]
    seeds = np.array([row for rows in on for row in rows], dtype=np.int64)
    activations = np.repeat(overlaps, [len(rows) for rows in on])
    spread = Spread(concepts.columns.size)
    spread.run(
        seeds, activations, cortex.relationships, concepts.columns,
        hops=hops, decay=decay, limit=cortex.settings.budget * UNIT,
    )  # fmt: skip
    return spread


def _seeds(cortex: Cortex, spread: Spread, found: Found, overlaps: npt.NDArray[np.float64]) -> list[Match]:
    return [
        _match(cortex, spread, column, cortex.concepts.on(column, MAX_IDS), overlap)
        for column, overlap in zip(found.columns.tolist(), overlaps.tolist(), strict=True)
    ]


def _reached(cortex: Cortex, spread: Spread, found: npt.NDArray[np.int64], k: int) -> dict[int, list[int]]:
    """Return the k strongest columns that were reached and not found, with the rows reached on each."""
    rows = spread.reached
    columns = cortex.concepts.columns[rows]
    rows, columns = rows[new := ~np.isin(columns, found)], columns[new]
    order = np.lexsort((columns, -spread.activations[rows]))
    reached: dict[int, list[int]] = {}
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if column in reached:
            if len(reached[column]) < MAX_IDS:
                reached[column].append(row)
        elif len(reached) < k:
            reached[column] = [row]
        else:
            break
    return reached


def _match(cortex: Cortex, spread: Spread, column: int, rows: list[int], overlap: float) -> Match:
    concepts, types = cortex.concepts, cortex.relationships.types
    strongest = max(rows, key=lambda row: spread.activations[row])
    path = tuple(
        Step(concepts.id_of(source), types[number], concepts.id_of(target))
        for source, number, target in spread.path(strongest)
    )
    ids = tuple(concepts.id_of(row) for row in rows)
    return Match(ids, column, overlap, float(spread.activations[strongest]), path)
