"""Spreading activation: what is related to what was found, and by which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
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


class Scratch:
    """What the spreads of one cortex share, so that none has to clear an array of all rows.

    activations float64[rows], zeros but for the rows that the latest spread touched; slots int32[rows],
    zeros between hops.
    """

    def __init__(self) -> None:
        self.activations = np.zeros(0, dtype=np.float64)
        self.slots = np.zeros(0, dtype=np.int32)
        self.touched: list[Rows] = []

    def begin(self, rows: int) -> None:
        """Clear what the latest spread left, and make room for rows."""
        for part in self.touched:
            self.activations[part] = 0
        self.touched = []
        self.activations, self.slots = grown(self.activations, rows), grown(self.slots, rows)


class Spread:
    """Activation that went out from seeds: a row's is the best product over a path of as many edges as hops.

    Each edge hands on source's activation · decay · weight. Of edges that bring the same, that from the
    lowest row counts, then that of the lowest type. activations: float64 of all rows, valid until the next
    spread of the same cortex begins.
    """

    def __init__(self, cortex: Cortex, seeds: Rows, activations: npt.NDArray[np.float64]) -> None:
        self._relationships, self._columns = cortex.relationships, cortex.concepts.columns
        self._kernels, self._scratch = cortex.kernels.spreading, cortex.spreading
        self._scratch.begin(self._columns.size)
        self._scratch.touched.append(seeds)
        self.activations = self._scratch.activations
        self.activations[seeds] = activations
        self._frontier = seeds
        self._hops: list[_Hop] = []

    def edges_ahead(self) -> int:
        """Return how many edges the next hop looks at."""
        return self._relationships.count_leaving(self._frontier)

    def hop(self, decay: float) -> bool:
        """Follow all edges of the rows whose activation rose in the last hop; tell whether any other rose."""
        slots = self._scratch.slots
        raised = self._kernels.hop(
            self._relationships, self._columns, self.activations, slots, self._frontier, decay
        )
        hop = _Hop(*raised)
        self._hops.append(hop)
        self._scratch.touched.append(hop.targets)
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
