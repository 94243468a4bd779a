"""A hop of activation, in numpy alone. See interfaces.SpreadingKernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortex_runtime.columns.kernels.interfaces import Activations, Ints, Numbers
from cortex_runtime.columns.relationships import NEAR_DUPLICATES

if TYPE_CHECKING:
    from cortex_runtime.columns.relationships import Relationships


def hop(
    relationships: Relationships, columns: Numbers, activations: Activations, slots: Numbers,  # noqa: ARG001
    frontier: Ints, decay: float,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Raise all targets together; those edges that brought what their target has now are the best ones."""
    edges = relationships.leaving(frontier)
    arriving = (activations[frontier] * decay)[edges.sources] * edges.weights
    rising = (arriving > activations[edges.targets]) & (columns[edges.targets] >= 0)
    rising &= edges.types != NEAR_DUPLICATES
    targets, arriving = edges.targets[rising], arriving[rising]
    np.maximum.at(activations, targets, arriving)
    best = arriving == activations[targets]
    targets, sources = targets[best], frontier[edges.sources[rising][best]]
    types = edges.types[rising][best]
    order = np.argsort(targets)
    ordered = targets[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((types, sources, targets))
        ordered = targets[order]
        order = order[np.append(True, ordered[1:] != ordered[:-1])]
    return targets[order], sources[order], types[order]
