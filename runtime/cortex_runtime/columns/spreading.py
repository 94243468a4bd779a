"""Spreading activation: what is related to what was found, and by which path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.relationships import Relationships

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Hop:
    """Targets of one hop, ascending, with the row and type each was best reached by."""

    targets: Rows
    sources: Rows
    types: Rows


class Spread:
    """Activation that went out from seeds: a row's is the best product over a path of ≤ `hops` edges.

    Each edge hands on source's activation · decay · weight.
    """

    def __init__(self, rows: int) -> None:
        self.activations = np.zeros(rows, dtype=np.float64)
        self.reached: Rows = np.zeros(0, dtype=np.int64)
        self.capped = False
        self._hops: list[_Hop] = []

    def run(
        self,
        seeds: Rows,
        activations: npt.NDArray[np.float64],
        relationships: Relationships,
        columns: npt.NDArray[np.int32],
        *,
        hops: int,
        decay: float,
        limit: int,
    ) -> None:
        """Spread from seeds int64[n]. At most `limit` edges are followed a hop; else it is capped."""
        self.activations[seeds] = activations
        frontier = seeds
        for _ in range(hops):
            edges, cut = relationships.leaving(frontier, limit)
            self.capped |= cut
            arriving = self.activations[frontier[edges.sources]] * decay * edges.weights
            better = (arriving > self.activations[edges.targets]) & (columns[edges.targets] != NOWHERE)
            if not better.any():
                break
            order = np.lexsort((-arriving[better], targets := edges.targets[better]))
            first = order[np.concatenate(([True], targets[order][1:] != targets[order][:-1]))]
            kept = np.flatnonzero(better)[first]
            hop = _Hop(edges.targets[kept], frontier[edges.sources[kept]], edges.types[kept])
            self.activations[hop.targets] = arriving[kept]
            self._hops.append(hop)
            frontier = hop.targets
        if self._hops:
            self.reached = np.unique(np.concatenate([hop.targets for hop in self._hops]))

    def path(self, row: int) -> list[tuple[int, int, int]]:
        """Return the steps (source, type, target) to a row, none for a seed that nothing surpassed."""
        steps: list[tuple[int, int, int]] = []
        for hop in reversed(self._hops):
            place = int(np.searchsorted(hop.targets, row))
            if place < hop.targets.size and hop.targets[place] == row:
                steps.append((int(hop.sources[place]), int(hop.types[place]), row))
                row = steps[-1][0]
        return steps[::-1]
