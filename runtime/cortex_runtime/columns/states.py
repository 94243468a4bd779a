"""The five states of a column, and which may follow which."""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.uint8]


class State(IntEnum):
    """State of a column, stored as uint8.

    ACTIVATED and COMPETING are states within one competition, which changes no array: what is stored is what
    came out. An empty column may be REFRACTORY too: its last concept went before its time was over.
    """

    AVAILABLE = 0
    ACTIVATED = 1
    COMPETING = 2
    ALLOCATED = 3
    REFRACTORY = 4


LEGAL: dict[State, frozenset[State]] = {
    State.AVAILABLE: frozenset({State.ACTIVATED}),
    State.ACTIVATED: frozenset({State.COMPETING, State.AVAILABLE, State.ALLOCATED}),
    State.COMPETING: frozenset({State.ALLOCATED, State.AVAILABLE}),
    State.ALLOCATED: frozenset({State.ACTIVATED, State.REFRACTORY, State.AVAILABLE}),
    State.REFRACTORY: frozenset({State.ACTIVATED, State.ALLOCATED}),
}
ILLEGAL = 255


class IllegalTransitionError(ValueError):
    """A decision asks of a column what its state does not allow."""


def passages(*each: tuple[State, ...]) -> States:
    """Return, uint8[5], the state in which the passage that begins in each state ends, ILLEGAL for none.

    Raises IllegalTransitionError when LEGAL does not allow a passage.
    """
    ends = np.full(len(State), ILLEGAL, dtype=np.uint8)
    for passage in each:
        for before, after in pairwise(passage):
            if after not in LEGAL[before]:
                raise IllegalTransitionError(f"{after.name} does not follow {before.name}")
        ends[passage[0]] = passage[-1]
    return ends


# What a decision does to a column, or time: the states it passes. Nothing else stores any.
_COMPETE = (State.ACTIVATED, State.COMPETING, State.ALLOCATED, State.REFRACTORY)
TAKE = passages((State.AVAILABLE, *_COMPETE))
WIN = passages((State.ALLOCATED, *_COMPETE), (State.REFRACTORY, *_COMPETE))
REST = passages((State.REFRACTORY, State.ALLOCATED))
FREE = passages((State.ALLOCATED, State.AVAILABLE), (State.REFRACTORY, State.ALLOCATED, State.AVAILABLE))
# From what an empty column, and one that has concepts, may go on.
_HELD = np.stack((np.minimum(TAKE, REST), WIN))


def check_held(states: States, concepts: npt.NDArray[np.int32], columns: npt.NDArray[np.int64]) -> None:
    """Raise IllegalTransitionError unless columns int64[n] are in states that fit with what is on them."""
    now = states[columns]
    illegal = _HELD[(concepts[columns] > 0).view(np.uint8), now] == ILLEGAL
    if illegal.any():
        raise _illegal(states, columns[illegal][0])


def check_one(states: States, column: int, held: bool) -> None:
    """Raise IllegalTransitionError unless a column's state fits with whether concepts are on it."""
    if _HELD.item(int(held), states.item(column)) == ILLEGAL:
        raise _illegal(states, column)


def pass_through(states: States, columns: npt.NDArray[np.int64], ends: States) -> None:
    """Take columns int64[n] through passages. Raises IllegalTransitionError before anything changes."""
    after = ends[states[columns]]
    illegal = after == ILLEGAL
    if illegal.any():
        raise _illegal(states, columns[illegal][0])
    states[columns] = after


def _illegal(states: States, column: int | np.int64) -> IllegalTransitionError:
    return IllegalTransitionError(
        f"column {column} is {State(states[column]).name}, which does not allow what was decided"
    )
