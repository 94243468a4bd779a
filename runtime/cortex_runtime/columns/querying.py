"""Queries: the columns most like a text, and what is related to them. They change nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from cortex_runtime.columns.encoding import Encoding
from cortex_runtime.columns.filtering import UNIT, Filter, Purse, Where, check_where
from cortex_runtime.columns.model import (
    ID_BYTES,
    MAX_HOPS,
    MAX_K,
    MAX_UNITS,
    InvalidQueryError,
    QueryTooComplexError,
    fault_of_bits,
    is_whole,
)
from cortex_runtime.columns.rooms import distinct
from cortex_runtime.columns.search import MAX_IDS, Found, ranking
from cortex_runtime.columns.spreading import Spread

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Rows = npt.NDArray[np.int64]
_ONE_ID = struct.Struct(f"{ID_BYTES}s")
_STEPS_A_ROW = 10  # fetching a column's bits costs as much as visiting so many postings
_PORTION = 1 << 16  # columns whose bits are fetched at a time
_A_LOOK_UP = 6  # costs so many times what finding the concepts costs, when their columns are scored, too
_FIRST_LOOKED_THROUGH = 4  # times k: so many of the best columns are looked through for those that hold
_MOST_LOOKED_THROUGH = 8192
_FIRST_CHECKED = 256
_NOBODY = np.zeros(0, dtype=np.int64)


class Step(Struct, frozen=True):
    """One step of the path that explains a match."""

    source: bytes
    type: str
    target: bytes


class Match(Struct, frozen=True):
    """A column that was found.

    ids: its concepts, the latest first, at most 64; of a column that was only reached over relationships,
    those that were reached; of a query with a filter, only those that hold it. overlap: share (0-1) of the
    query's weight that is in the column's bits. activation: the overlap, or what came over the path when
    that is more.
    """

    ids: tuple[bytes, ...]
    column: int
    overlap: float
    activation: float
    path: tuple[Step, ...] = ()


class QueryResult(Struct, frozen=True):
    """Matches by falling activation.

    capped: the budget ended the search, there may be better ones. cost: what it cost at most, in units.
    """

    matches: tuple[Match, ...]
    capped: bool
    cost: int


def query(
    cortex: Cortex,
    encoding: Encoding,
    k: int,
    *,
    hops: int,
    decay: float,
    where: Where,
    budget: int | None,
    exact: bool,
) -> QueryResult:
    """Return up to k columns by overlap and, with hops, up to k more that are reached from them.

    A concept on a found column hands on its activation · decay · weight over each relationship from it; of
    several paths the strongest counts. With `where`, only columns are found that have a concept which holds
    that filter (see filtering.py), and only such concepts are reached; they may be reached over others.

    What each part of a query costs at most is known before it is begun, in elementary steps: postings, words
    of bitmaps, rows, relationships, tags. 1,024 of them are a unit, and `budget` units (None: the settings')
    may be spent. What is too dear is refused by QueryTooComplexError; with `exact` False it is left out, and
    the result is `capped` unless it was proved to be the best all the same.

    Raises InvalidQueryError: bits that are not uint16[0..40], ascending, without PAD; k that is no whole
    number in 1-1,000, hops in 0-3 or budget from 1 on; decay outside (0, 1]; a malformed filter.
    """
    budget = _checked(cortex, [encoding], k, budget)
    if not is_whole(hops, 0, MAX_HOPS):
        raise InvalidQueryError(f"hops {hops!r} is not a whole number from 0 to {MAX_HOPS}")
    if not 0 < decay <= 1:
        raise InvalidQueryError(f"decay {decay} is not above 0 and at most 1")
    if not where and not hops:
        return _alike(cortex, [encoding], k, budget, exact=exact)[0]
    check_where(where)
    return _Query(cortex, encoding, k, where, Purse(budget), exact=exact).run(hops, decay)


def query_many(
    cortex: Cortex, encodings: Sequence[Encoding], k: int, *, budget: int | None, exact: bool
) -> list[QueryResult]:
    """Return for each of several texts what `query` returns, each of which may spend the budget.

    Raises as `query`: one query that is too dear refuses them all.
    """
    budget = _checked(cortex, encodings, k, budget)
    return _alike(cortex, encodings, k, budget, exact=exact) if encodings else []


def _checked(cortex: Cortex, encodings: Sequence[Encoding], k: int, budget: int | None) -> int:
    budget = cortex.settings.budget if budget is None else budget
    if not is_whole(k, 1, MAX_K):
        raise InvalidQueryError(f"k {k!r} is not a whole number from 1 to {MAX_K}")
    if not is_whole(budget, 1, MAX_UNITS):
        raise InvalidQueryError(f"budget {budget!r} is not a whole number from 1 to {MAX_UNITS}")
    for encoding in encodings:  # a kernel believes what it is given
        if fault := fault_of_bits(encoding.bits, 0):
            raise InvalidQueryError(fault)
    return budget


def _alike(
    cortex: Cortex, encodings: Sequence[Encoding], k: int, budget: int, *, exact: bool
) -> list[QueryResult]:
    """Return the columns most like each of some texts."""
    queries = [encoding.bits.astype(np.int64) for encoding in encodings]
    found = cortex.searcher.find_many(cortex.concepts, queries, cortex.columns, k, budget * UNIT)
    matches = _matches(found.columns, found.overlaps, found.ids, found.sizes)
    results, start = [], 0
    for bits, end, cost in zip(queries, found.ends.tolist(), found.costs.tolist(), strict=True):
        if cost <= budget * UNIT:
            results.append(QueryResult(matches[start:end], False, -(-cost // UNIT)))
        elif exact:
            raise QueryTooComplexError(-(-cost // UNIT), budget)
        else:
            results.append(_capped(cortex, bits, k, budget))
        start = end
    return results


def _capped(cortex: Cortex, bits: Rows, k: int, budget: int) -> QueryResult:
    weights = cortex.searcher.weights(bits, cortex.columns)
    best = cortex.searcher.search(bits, weights, limit=k, budget=budget * UNIT)
    rows, sizes = cortex.concepts.on_each(best.columns, MAX_IDS)
    overlaps = best.scores / max(1, int(weights.sum()))
    return QueryResult(
        _matches(best.columns, overlaps, cortex.concepts.ids[rows], sizes), best.capped, budget
    )


def _matches(
    columns: Rows, overlaps: npt.NDArray[np.float64], raw: npt.NDArray[np.uint8], sizes: Rows
) -> tuple[Match, ...]:
    """Return found columns, with the ids of the concepts on them one column's after the other's."""
    ids = list(_ONE_ID.iter_unpack(raw.tobytes()))
    if len(ids) > columns.size:
        starts = [0, *accumulate(sizes.tolist())]
        ids = [tuple([one for (one,) in ids[start:end]]) for start, end in pairwise(starts)]
    shares = overlaps.tolist()
    return tuple(map(Match, ids, columns.tolist(), shares, shares))


class _Query:
    """One query: its weights, its filter, what it may still cost."""

    def __init__(
        self, cortex: Cortex, encoding: Encoding, k: int, where: Where, purse: Purse, *, exact: bool
    ) -> None:
        self._cortex, self._k, self._purse, self._exact = cortex, k, purse, exact
        self._bits = encoding.bits.astype(np.int64)
        self._weights = cortex.searcher.weights(self._bits, cortex.columns)
        self._total = max(1, int(self._weights.sum()))
        self._filter = Filter(cortex, where, purse) if where else None
        self._held: dict[int, list[int]] = {}
        self._capped = False

    def run(self, hops: int, decay: float) -> QueryResult:
        """Find, then spread."""
        found = self._search(self._k) if self._filter is None else self._holding(self._filter)
        overlaps = found.scores / self._total
        if hops and found.columns.size:
            matches = self._related(found, overlaps, hops, decay)
        else:
            matches = [
                Match(self._ids(self._on(column)), column, overlap, overlap)
                for column, overlap in zip(found.columns.tolist(), overlaps.tolist(), strict=True)
            ]
        return QueryResult(tuple(matches), self._capped, self._purse.units)

    def _search(self, limit: int) -> Found:
        """Return the best columns, whatever they hold."""
        cost, searcher = self._cost_of_search(), self._cortex.searcher
        if self._exact:
            self._purse.spend(cost)
            return searcher.search(self._bits, self._weights, limit=limit)
        cost = min(cost, self._purse.left)
        self._purse.spend(cost)
        found = searcher.search(self._bits, self._weights, limit=limit, budget=cost)
        self._capped |= found.capped
        return found

    def _cost_of_search(self) -> int:
        return self._cortex.searcher.cost(self._bits, self._weights)

    def _holding(self, wanted: Filter) -> Found:
        """Return the best columns that have a concept which holds the filter.

        A rare property is looked up, and the columns that have it are scored. For a common one the best
        columns are looked through first: most often k of them hold it before many are seen.
        """
        found, limit = Found(_NOBODY, _NOBODY), _FIRST_LOOKED_THROUGH * self._k
        with self._affordable():
            while _A_LOOK_UP * wanted.steps > self._cost_of_search() and limit <= _MOST_LOOKED_THROUGH:
                every = self._search(limit)
                found = self._that_hold(every, wanted)
                if found.columns.size == self._k or every.columns.size < limit:
                    return found
                limit *= 8
            return self._among(wanted.all())
        return found

    def _that_hold(self, every: Found, wanted: Filter) -> Found:
        """Return the k best of found columns that have a concept which holds the filter."""
        concepts = self._cortex.concepts
        self._purse.spend(int(self._cortex.arrays.concepts[every.columns].sum()))
        rows = np.array([row for c in every.columns.tolist() for row in concepts.on(c)], dtype=np.int64)
        rows = rows[wanted.hold(rows)]
        best = np.flatnonzero(np.isin(every.columns, concepts.columns[rows]))[: self._k]
        self._keep(rows, every.columns[best])
        return Found(every.columns[best], every.scores[best])

    def _among(self, rows: Rows) -> Found:
        """Return the best of the columns that the concepts in rows are on."""
        arrays = self._cortex.arrays
        columns = distinct(self._cortex.concepts.columns[rows]).astype(np.int64)
        self._purse.spend(columns.size * _STEPS_A_ROW)
        scores = np.zeros(columns.size, dtype=np.int64)
        for start in range(0, columns.size, _PORTION):
            part = slice(start, start + _PORTION)
            scores[part] = self._cortex.searcher.shared(self._bits, self._weights, arrays.bits[columns[part]])
        columns, scores = columns[shared := scores > 0], scores[shared]
        order = ranking(scores, arrays.words[columns], columns, self._k)
        self._keep(rows, columns[order])
        return Found(columns[order], scores[order])

    def _keep(self, rows: Rows, columns: Rows) -> None:
        """Remember the concepts in rows on found columns: for each the latest first."""
        concepts = self._cortex.concepts
        rows = rows[np.isin(concepts.columns[rows], columns)]
        rows = rows[np.argsort(-concepts.operations[rows], kind="stable")]
        self._held = {column: [] for column in columns.tolist()}
        for row, column in zip(rows.tolist(), concepts.columns[rows].tolist(), strict=True):
            self._held[column].append(row)

    def _on(self, column: int) -> list[int]:
        """Return the rows of the concepts on a found column that hold the filter, at most MAX_IDS."""
        if self._filter is None:
            return self._cortex.concepts.on(column, MAX_IDS)
        return self._held[column][:MAX_IDS]

    def _ids(self, rows: list[int]) -> tuple[bytes, ...]:
        return tuple(self._cortex.concepts.id_of(row) for row in rows)

    def _related(
        self, found: Found, overlaps: npt.NDArray[np.float64], hops: int, decay: float
    ) -> list[Match]:
        cortex = self._cortex
        spread = self._spread(found, overlaps, hops, decay)
        reached = self._reached(spread, found.columns)
        columns = np.array(list(reached), dtype=np.int64)
        shared = cortex.searcher.shared(self._bits, self._weights, cortex.arrays.bits[columns])
        matches = [
            self._match(spread, column, self._on(column), overlap)
            for column, overlap in zip(found.columns.tolist(), overlaps.tolist(), strict=True)
        ]
        matches += [
            self._match(spread, column, rows, overlap)
            for (column, rows), overlap in zip(reached.items(), (shared / self._total).tolist(), strict=True)
        ]
        matches.sort(key=lambda match: (-match.activation, match.column))
        return matches

    def _spread(self, found: Found, overlaps: npt.NDArray[np.float64], hops: int, decay: float) -> Spread:
        """Spread by whole hops: one whose relationships are more than what may be spent is not begun."""
        on = [self._on(column) for column in found.columns.tolist()]
        seeds = np.array([row for rows in on for row in rows], dtype=np.int64)
        activations = np.repeat(overlaps, [len(rows) for rows in on])
        spread = Spread(self._cortex, seeds, activations)
        with self._affordable():
            for _ in range(hops):
                self._purse.spend(spread.edges_ahead())
                if not spread.hop(decay):
                    break
        return spread

    def _reached(self, spread: Spread, found: Rows) -> dict[int, list[int]]:
        """Return the k strongest columns that were reached and not found, with the rows reached on each."""
        rows = spread.reached()
        columns = self._cortex.concepts.columns[rows]
        rows, columns = rows[new := ~np.isin(columns, found)], columns[new]
        rows = rows[np.lexsort((columns, -spread.activations[rows]))]
        reached: dict[int, list[int]] = {}
        for part in self._holding_parts(rows):
            for row, column in zip(part.tolist(), self._cortex.concepts.columns[part].tolist(), strict=True):
                if column not in reached and len(reached) == self._k:
                    return reached
                on = reached.setdefault(column, [])
                if len(on) < MAX_IDS:
                    on.append(row)
        return reached

    def _holding_parts(self, rows: Rows) -> Iterator[Rows]:
        """Yield, in parts and in order, the rows whose concepts hold the filter."""
        if self._filter is None:
            yield rows
            return
        start, size = 0, _FIRST_CHECKED
        with self._affordable():
            while start < rows.size:
                part = rows[start : start + size]
                yield part[self._filter.hold(part)]
                start, size = start + size, 4 * size

    @contextmanager
    def _affordable(self) -> Iterator[None]:
        """Leave out what is too dear, and remember it; unless the answer has to be exact."""
        try:
            yield
        except QueryTooComplexError:
            if self._exact:
                raise
            self._capped = True

    def _match(self, spread: Spread, column: int, rows: list[int], overlap: float) -> Match:
        concepts, types = self._cortex.concepts, self._cortex.relationships.types
        strongest = max(rows, key=lambda row: spread.activations[row])
        path = tuple(
            Step(concepts.id_of(source), types[number], concepts.id_of(target))
            for source, number, target in spread.path(strongest)
        )
        return Match(self._ids(rows), column, overlap, float(spread.activations[strongest]), path)
