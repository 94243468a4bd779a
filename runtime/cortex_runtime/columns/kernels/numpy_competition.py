"""The competition of concepts for columns, in numpy: one concept after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.competition import MAX_CANDIDATES
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.search import Searcher, ranking

if TYPE_CHECKING:
    from cortex_runtime.columns.model import CortexSettings
    from cortex_runtime.columns.overlay import Overlay

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint8]


def compete(
    searcher: Searcher, overlay: Overlay, settings: CortexSettings, rows: Rows, words: Words, free: Ints
) -> tuple[Ints, Floats, Ints]:
    """Let concepts compete, in order: see interfaces.CompetitionKernels."""
    contest = _Contest(searcher, overlay, settings)
    columns = np.empty(words.size, dtype=np.int64)
    overlaps = np.zeros(words.size)
    winners = np.full((words.size, min(settings.winners, MAX_CANDIDATES)), -1, dtype=np.int64)
    overlay.pending.make_room(words.size)
    taken = 0
    for index, row in enumerate(rows):
        bits = row[: int(row.searchsorted(_PAD))]
        overlap, won = contest.of(bits)
        if overlap >= settings.join_threshold:
            columns[index] = won[0]
        elif taken < free.size:
            columns[index] = free[taken]
            overlay.pending.add(free.item(taken), bits, words.item(index))
            overlay.occupied += 1
            taken += 1
        else:
            return columns[:index], overlaps[:index], winners[:index]
        overlaps[index], winners[index, : won.size] = overlap, won
    return columns, overlaps, winners


_PAD = np.uint16(PAD)
_NOBODY = np.zeros(0, dtype=np.int64)


class _Contest:
    """What decides about one concept: candidates, their similarity, who of them inhibits whom."""

    def __init__(self, searcher: Searcher, overlay: Overlay, settings: CortexSettings) -> None:
        self._searcher, self._overlay, self._settings = searcher, overlay, settings
        radius, threshold = settings.radius, settings.join_threshold
        self._share = min(radius, threshold) if radius else threshold

    def of(self, bits: Rows) -> tuple[float, Ints]:
        """Return how similar the strongest candidate is to bits uint16[n], 0 without any, and the winners."""
        weights = self._overlay.weigh(bits)
        own = int(weights.sum())
        candidates, scores = self._candidates(bits, weights, max(1, int(np.ceil(self._share * own))))
        if not candidates.size:
            return 0.0, _NOBODY
        rows = self._overlay.rows(candidates[: 1 if not self._settings.radius else None])
        weighed = self._overlay.weigh(rows)
        totals = weighed.sum(axis=1)
        shared = int(scores[0])
        overlap = shared / max(1, own + int(totals[0]) - shared)
        if not self._settings.radius:
            return overlap, candidates[: self._settings.winners]
        return overlap, candidates[self._inhibit(rows, weighed, totals)]

    def _candidates(self, bits: Rows, weights: Ints, floor: int) -> tuple[Ints, Ints]:
        """Return the columns that share at least `floor`, and the weight they share, the strongest first."""
        overlay, searcher, pending = self._overlay, self._searcher, self._overlay.pending
        found = searcher.search(
            bits.astype(np.int64), weights, limit=MAX_CANDIDATES, floor=floor, without=overlay.hidden
        )
        columns, scores = found.columns, found.scores
        if int(weights[pending.met[bits]].sum()) < floor:
            return columns, scores
        shared = searcher.shared(bits, weights, pending.rows[: pending.end])
        near = np.flatnonzero(shared >= floor)
        if not near.size:
            return columns, scores
        words = np.concatenate((searcher.arrays.words[columns], pending.words[near]))
        columns = np.concatenate((columns, pending.columns[near]))
        scores = np.concatenate((scores, shared[near]))
        order = ranking(scores, words, columns, MAX_CANDIDATES)
        return columns[order], scores[order]

    def _inhibit(self, rows: Rows, weights: Ints, totals: Ints) -> list[int]:
        """Return the places of the winners: of rows uint16[n, 40], the strongest first, those that no
        stronger winner suppresses (greedy non-maximum suppression).
        """
        alive = np.ones(rows.shape[0], dtype=np.bool_)
        winners: list[int] = []
        while len(winners) < self._settings.winners and alive.any():
            winner = int(alive.argmax())
            winners.append(winner)
            alive[winner] = False
            if alive.any():
                size = int(rows[winner].searchsorted(_PAD))
                shared = self._searcher.shared(rows[winner, :size], weights[winner, :size], rows)
                alive &= shared < self._settings.radius * np.maximum(1, totals + totals[winner] - shared)
        return winners
