"""The five states of a column, and which may follow which."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt


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

# What an applied decision does to a column: the states it passes.
TAKE = (State.AVAILABLE, State.ACTIVATED, State.COMPETING, State.ALLOCATED, State.REFRACTORY)
WIN = (State.ALLOCATED, State.ACTIVATED, State.COMPETING, State.ALLOCATED, State.REFRACTORY)
WIN_AGAIN = (State.REFRACTORY, State.ACTIVATED, State.COMPETING, State.ALLOCATED, State.REFRACTORY)
REST = (State.REFRACTORY, State.ALLOCATED)
FREE = (State.ALLOCATED, State.AVAILABLE)
PASSAGES = (TAKE, WIN, WIN_AGAIN, REST, FREE)


class IllegalTransitionError(ValueError):
    """A decision asks of a column what its state does not allow."""


def pass_through(
    states: npt.NDArray[np.uint8], columns: npt.NDArray[np.int64], *passages: tuple[State, ...]
) -> None:
    """Take columns, each once, through one of the passages that end alike. Raises before anything changes."""
    allowed = [passage[0] for passage in passages]
    now = states[columns]
    legal = now == allowed[0]
    for start in allowed[1:]:
        legal |= now == start
    if not legal.all():
        column = columns[~legal][0]
        raise IllegalTransitionError(
            f"column {column} is {State(states[column]).name}, not {allowed[0].name}"
        )
    states[columns] = passages[0][-1]
