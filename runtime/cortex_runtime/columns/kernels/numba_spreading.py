"""A hop of activation, compiled. See interfaces.SpreadingKernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from cortex_runtime.columns.kernels.interfaces import Activations, Ints, Numbers
from cortex_runtime.columns.relationships import NEAR_DUPLICATES

if TYPE_CHECKING:
    from cortex_runtime.columns.relationships import Relationships

_N, _R, _A = "int32[::1]", "int64[::1]", "float64[::1]"
_EDGES = "int32[::1], uint16[::1], float32[::1]"  # targets, types, weights by place
_STATE = f"{_N}, {_A}, {_N}, {_R}, {_R}, {_R}"


def hop(
    relationships: Relationships, columns: Numbers, activations: Activations, slots: Numbers,
    frontier: Ints, decay: float,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Follow one edge after the other; `slots` tells where each target that was raised is in the answer."""
    merged, frozen, delta = relationships.compressed, relationships.frozen, relationships.delta
    raised: tuple[Ints, Ints, Ints] = _hop(
        merged.starts, merged.targets, merged.types, merged.weights,
        frozen.out_heads, frozen.out_next, frozen.targets, frozen.types, frozen.weights,
        delta.out_heads, delta.out_next, delta.targets, delta.types, delta.weights,
        columns, activations, slots, frontier, decay,
        relationships.count_leaving(frontier), NEAR_DUPLICATES,
    )  # fmt: skip
    return raised


@njit(
    f"int64({_EDGES}, int64, int64, float64, int64, {_STATE}, int64)", cache=True, nogil=True, inline="always"
)
def _follow(  # type: ignore[no-untyped-def]
    targets, types, weights, place, source, handed_on, ignored, columns, activations, slots,
    raised, sources, kinds, count,
):  # fmt: skip
    """Follow an edge; return how many targets were raised so far."""
    target = targets[place]
    if types[place] == ignored or columns[target] < 0 or weights[place] == 0:
        return count
    arriving = handed_on * weights[place]
    slot = slots[target]
    if arriving > activations[target]:
        activations[target] = arriving
        if slot == 0:
            slot = count + 1
            slots[target] = slot
            raised[count] = target
            count += 1
    elif (
        slot == 0
        or arriving < activations[target]
        or source > sources[slot - 1]
        or (source == sources[slot - 1] and types[place] > kinds[slot - 1])
    ):
        return count
    sources[slot - 1], kinds[slot - 1] = source, types[place]
    return count


@njit(
    f"UniTuple({_R}, 3)({_N}, {_EDGES}, {_N}, {_N}, {_EDGES}, {_N}, {_N}, {_EDGES},"
    f" {_N}, {_A}, {_N}, {_R}, float64, int64, int64)",
    cache=True,
    nogil=True,
)
def _hop(  # type: ignore[no-untyped-def]
    starts, targets, types, weights,
    frozen_heads, frozen_next, frozen_targets, frozen_types, frozen_weights,
    delta_heads, delta_next, delta_targets, delta_types, delta_weights,
    columns, activations, slots, frontier, decay, most, ignored,
):  # fmt: skip
    raised, sources, kinds = (
        np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64),
    )  # fmt: skip
    count = 0
    handing_on = activations[frontier] * decay
    for index in range(frontier.size):
        source, handed_on = frontier[index], handing_on[index]
        if source < starts.size - 1:
            for place in range(starts[source], starts[source + 1]):
                count = _follow(
                    targets, types, weights, place, source, handed_on, ignored, columns, activations, slots,
                    raised, sources, kinds, count,
                )  # fmt: skip
        place = frozen_heads[source] if source < frozen_heads.size else 0
        while place:
            count = _follow(
                frozen_targets, frozen_types, frozen_weights, place - 1, source, handed_on, ignored, columns,
                activations, slots, raised, sources, kinds, count,
            )  # fmt: skip
            place = frozen_next[place - 1]
        place = delta_heads[source] if source < delta_heads.size else 0
        while place:
            count = _follow(
                delta_targets, delta_types, delta_weights, place - 1, source, handed_on, ignored, columns,
                activations, slots, raised, sources, kinds, count,
            )  # fmt: skip
            place = delta_next[place - 1]
    raised = raised[:count]
    slots[raised] = 0
    order = np.argsort(raised)
    return raised[order], sources[order], kinds[order]
