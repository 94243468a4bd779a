"""Spreading activation: what is related to what was found, and by which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.rooms import distinct

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Rows = npt.NDArray[np.int64]
_NOBODY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Hop:
    """Targets of one hop, ascending, with the row and type each was best reached by."""

    targets: Rows
    sources: Rows
    types: Rows


class Spread:
    """Activation that went out from seeds: a row's is the best product over a path of as many edges as hops.

    Each edge hands on source's activation · decay · weight. activations: float64 of all rows.
    """

    def __init__(self, cortex: Cortex, seeds: Rows, activations: npt.NDArray[np.float64]) -> None:
        self._relationships, self._columns = cortex.relationships, cortex.concepts.columns
        self.activations = np.zeros(self._columns.size, dtype=np.float64)
        self.activations[seeds] = activations
        self._frontier = seeds
        self._hops: list[_Hop] = []

    def edges_ahead(self) -> int:
        """Return how many edges the next hop looks at."""
        return self._relationships.count_leaving(self._frontier)

    def hop(self, decay: float) -> bool:
        """Follow all edges of the rows whose activation rose in the last hop; tell whether any other rose."""
        frontier = self._frontier
        edges = self._relationships.leaving(frontier)
        arriving = self.activations[frontier[edges.sources]] * decay * edges.weights
        rising = (arriving > self.activations[edges.targets]) & (self._columns[edges.targets] != NOWHERE)
        targets = edges.targets[rising]
        order = np.lexsort((-arriving[rising], targets))
        first = order[np.diff(targets[order], prepend=-1) > 0]
        kept = np.flatnonzero(rising)[first]
        hop = _Hop(edges.targets[kept], frontier[edges.sources[kept]], edges.types[kept])
        self.activations[hop.targets] = arriving[kept]
        self._hops.append(hop)
        self._frontier = hop.targets
        return bool(hop.targets.size)

    def reached(self) -> Rows:
        """Return the rows, ascending, whose activation rose in any hop."""
        return distinct(np.concatenate([_NOBODY, *(hop.targets for hop in self._hops)]))

    def path(self, row: int) -> list[tuple[int, int, int]]:
        """Return the steps (source, type, target) to a row, none for a seed that nothing surpassed."""
        steps: list[tuple[int, int, int]] = []
        for hop in reversed(self._hops):
            place = int(np.searchsorted(hop.targets, row))
            if place < hop.targets.size and hop.targets[place] == row:
                steps.append((int(hop.sources[place]), int(hop.types[place]), row))
                row = steps[-1][0]
        return steps[::-1]
