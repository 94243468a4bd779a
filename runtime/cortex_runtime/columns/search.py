"""Exact search: the columns that share the most weight with a query (MaxScore, Turtle and Flood 1995).

A bit weighs by its information, from live counts. The kernels (numpy_search, numba_search) do the same steps:

1. Visit the lists in order of length by weight, summing up what each column shares; keep the bound, the score
   that a column must reach, as high as the best so far allow. Stop once what is left to visit is less: a
   column that was not seen cannot reach the bound any more.
2. Of the seen columns, keep those that can reach it: by the bitmaps of common bits, the heaviest first, and
   the lists that are left, in turn whichever is cheaper for its weight; of the last few fetch the rows.
3. When all lists were visited and the common bits alone reach the bound, look for the columns that lack
   little of them: one that reaches the bound is in at least one bitmap of any group that weighs more than it
   may lack. Where that leaves many, sum up the bitmaps 64 columns at a time: bit-sliced (Rinfret, O'Neil and
   O'Neil 2001).

Of columns that share the same, one with fewer words is better, then one with a lower number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.arrays import ColumnArrays
from cortex_runtime.columns.concepts import Concepts
from cortex_runtime.columns.encoding import BITS
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.kernels import Kernels, chosen
from cortex_runtime.columns.postings import Postings
from cortex_runtime.columns.weights import weights_of

__all__ = ["Found", "Searcher", "ranking", "weights_of"]

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
MAX_IDS = 64  # of the concepts on a column that are named
_PROVED_AMONG = 32  # times as many columns as are wanted
PLANES = 14  # 40 bits of weight 255 make less than 2**14
_NOBODY = np.zeros(0, dtype=np.int64)


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


class FoundMany(NamedTuple):
    """What was found for n queries, one's columns after the other's, m in all, best first.

    columns int64[m], overlaps float64[m]: the share (0-1) of its query's weight that a column has; sizes
    int64[m]: how many concepts of each are in ids uint8[..., 16], the latest first, at most 64. ends
    int64[n]: where each query's columns end; costs int64[n], in elementary steps: what costs too much was not
    searched for.
    """

    columns: Ints
    overlaps: npt.NDArray[np.float64]
    ids: npt.NDArray[np.uint8]
    sizes: Ints
    ends: Ints
    costs: Ints


class Searcher:
    """Searches the columns of one cortex; holds scratch arrays, so one search at a time.

    Scratch: sums uint16[N] and table uint8[65536], zeros between searches, touched and candidates int32[N].
    """

    def __init__(self, arrays: ColumnArrays, postings: Postings, kernels: Kernels | None = None) -> None:
        self.arrays, self.postings = arrays, postings
        self.kernels = (kernels or chosen()).search
        self.sums = np.zeros(0, dtype=np.uint16)
        self.touched = np.zeros(0, dtype=np.int32)
        self.candidates = np.zeros(0, dtype=np.int32)
        self.table = np.zeros(BITS, dtype=np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of scratch."""
        return self.sums.nbytes + self.touched.nbytes + self.candidates.nbytes + self.table.nbytes

    def weights(self, bits: Ints, columns: int) -> Ints:
        """Return the weights of bits int64[n] by their live counts."""
        return self.kernels.weigh(bits, self.postings.counts, columns)

    def shared(self, bits: npt.NDArray[np.integer], weights: Ints, rows: Rows) -> Ints:
        """Return the weight that rows of bits uint16[n, 40] share with a query."""
        return self.kernels.shared(self, bits.astype(np.int64), weights, rows)

    def cost(self, bits: Ints, weights: Ints) -> int:
        """Return what a search costs at most, in elementary steps."""
        return int(self.postings.steps(bits[weights > 0]).sum())

    def find_many(
        self, concepts: Concepts, queries: Sequence[Ints], columns: int, limit: int, most: int
    ) -> FoundMany:
        """Return the best columns for queries, each the bits int64[k], which may cost `most` steps each.

        columns: how many there are.
        """
        self.make_scratch()
        if len(queries) == 1:
            bits, ends = queries[0], np.array([queries[0].size])
        else:
            bits = np.concatenate(queries)
            ends = np.array(list(accumulate([each.size for each in queries])), dtype=np.int64)
        return self.kernels.find_many(self, concepts, bits, ends, columns, limit, most)

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

        bits and weights are int64[n]. Columns in `without` (ascending) are not seen. With a budget, in
        elementary steps, the bits that cost the most for their weight are left out of the search when it
        would cost more, and the answer says when it could not be proved.
        """
        if limit < 1:
            raise ValueError(f"limit {limit} is not at least 1")
        self.make_scratch()
        if budget is not None and self.cost(bits, weights) > budget:
            return self._search_capped(bits, weights, limit, floor, without, budget)
        return Found(*self.kernels.search(self, bits, weights, limit, floor, without))

    def _search_capped(
        self, bits: Ints, weights: Ints, limit: int, floor: int, without: Ints, budget: int
    ) -> Found:
        """Search by the bits that cost least for their weight, and count the others where that leads.

        All columns that could be among the best are known when those that share nearly enough of the kept
        bits are few: then the answer is proved all the same.
        """
        steps = self.postings.steps(bits)
        order = np.argsort(steps / np.maximum(1, weights), kind="stable")
        kept = np.sort(order[np.cumsum(steps[order]) <= budget])
        left_out = int(weights.sum() - weights[kept].sum())
        by_kept = self, bits[kept], weights[kept]
        found = self._ranked(bits, weights, self.kernels.search(*by_kept, limit, 1, without)[0], limit)
        least = max(floor, int(found.scores[-1]) if found.columns.size == limit else 1) - left_out
        columns, most = found.columns, _PROVED_AMONG * limit
        if least > 0:
            columns, _ = self.kernels.search(*by_kept, most, least, without)
        best = self._ranked(bits, weights, columns, limit)
        enough = best.scores >= floor
        return Found(best.columns[enough], best.scores[enough], capped=least <= 0 or columns.size == most)

    def _ranked(self, bits: Ints, weights: Ints, columns: Ints, limit: int) -> Found:
        scores = self.shared(bits, weights, self.arrays.bits[columns])
        order = ranking(scores, self.arrays.words[columns], columns, limit)
        return Found(columns[order], scores[order])

    def make_scratch(self) -> None:
        """Make room for all columns."""
        columns = self.arrays.states.size
        self.sums = grown(self.sums, columns)
        # A kernel writes the next column before it knows whether it counts: one more than there are.
        self.touched = grown(self.touched, columns + 1)
        self.candidates = grown(self.candidates, columns + 1)
