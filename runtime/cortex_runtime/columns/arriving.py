"""A concept that comes to a column, alone: the commonest batch, applied without what arrays cost for one.

What is checked and stored is what following.py and applying.py check and store of many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortex_runtime.columns import states
from cortex_runtime.columns.arrays import HALF_LIFE, HALVES
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.following import NotFollowingError
from cortex_runtime.columns.identifiers import Rows

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

_TAKE, _JOIN = int(Kind.TAKE), int(Kind.JOIN)
_LAST_HALF = HALVES.size - 1


def is_alone(decisions: Decisions) -> bool:
    """Tell whether decisions are one TAKE or JOIN, and nothing else."""
    others = decisions.edge_steps.size or decisions.trait_steps.size
    return decisions.kinds.size == 1 and not others and decisions.kinds.item(0) <= _JOIN


def arrive(cortex: Cortex, decisions: Decisions) -> Rows:
    """Apply decisions that are alone, on the cortex's operation and within its reach (see `check_reach`).

    Return the win (operation, column) int64[1, 2]. Raises NotFollowingError and IllegalTransitionError, and
    changes nothing then.
    """
    identifier, column = decisions.ids.tobytes(), decisions.columns.item(0)
    operation, taking = decisions.before + decisions.steps.item(0), decisions.kinds.item(0) == _TAKE
    _check(cortex, identifier, column, operation, taking)
    arrays, concepts, columns = cortex.arrays, cortex.concepts, np.array([column])
    arrays.make_room(column + 1)
    row = concepts.insert(identifier)
    if taking:
        cortex.set_free(cortex.free.take(columns))
        states.pass_through(arrays.states, columns, states.TAKE)
        arrays.bits[column, : decisions.bits.size] = decisions.bits
        arrays.bits[column, decisions.bits.size :] = PAD
        arrays.words[column], arrays.variant_of[column] = decisions.words[0], decisions.variant_of[0]
        cortex.postings.add(columns, arrays.bits[column : column + 1])
        cortex.columns += 1
    else:
        states.pass_through(arrays.states, columns, states.WIN)
    halvings = min((operation - arrays.last_operation.item(column)) // HALF_LIFE, _LAST_HALF)
    arrays.activation[column] = arrays.activation[column] * HALVES[halvings] + np.float32(1)
    arrays.last_operation[column] = operation
    arrays.concepts[column] += 1
    concepts.place(row, column, operation)
    return np.array([(operation, column)])


def _check(cortex: Cortex, identifier: bytes, column: int, operation: int, taking: bool) -> None:
    arrays, held = cortex.arrays, cortex.concepts_on(column)
    won = arrays.last_operation.item(column) if column < arrays.last_operation.size else 0
    rests = won > max(cortex.restored_at, 0) and won + cortex.settings.refractory >= operation
    possible = not held and not rests if taking else held > 0
    if cortex.place_of(identifier) is not None or not possible:
        kind = Kind.TAKE if taking else Kind.JOIN
        raise NotFollowingError(f"{kind.name} of column {column} is not possible")
    if column < arrays.states.size:
        states.check_one(arrays.states, column, held > 0)
