"""The table of transitions, and that nothing is stored that it does not allow."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cortex_runtime.columns import Cortex, IllegalTransitionError, Put, State
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.states import (
    FREE,
    ILLEGAL,
    LEGAL,
    REST,
    TAKE,
    WIN,
    check_held,
    pass_through,
    passages,
)
from unit.columns.worlds import copied, everything_of, put

PAIRS = list(product(State, State))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_transition_is_possible_when_the_table_says_so(before: State, after: State) -> None:
    others = [state for state in State if state != before]
    if after not in LEGAL[before]:
        with pytest.raises(IllegalTransitionError, match=f"{after.name} does not follow {before.name}"):
            passages((before, after))
        return
    ends = passages((before, after))
    states = np.array([before, before, *others], dtype=np.uint8)
    pass_through(states, np.array([1, 0]), ends)
    assert states.tolist() == [after, after, *others]
    for column in range(2, states.size):
        if states[column] != before:
            kept = states.copy()
            with pytest.raises(IllegalTransitionError, match=others[column - 2].name):
                pass_through(
                    states, np.array([0, 1, column]) if before == after else np.array([column]), ends
                )
            assert (states == kept).all()


def test_the_table_names_every_state_and_frees_or_takes_nothing_that_is_refractory() -> None:
    assert set(LEGAL) == set(State)
    assert State.AVAILABLE not in LEGAL[State.REFRACTORY]
    assert State.COMPETING not in LEGAL[State.AVAILABLE] | LEGAL[State.ALLOCATED] | LEGAL[State.REFRACTORY]


@pytest.mark.parametrize(
    ("ends", "reached"),
    [
        (TAKE, {State.AVAILABLE: State.REFRACTORY}),
        (WIN, {State.ALLOCATED: State.REFRACTORY, State.REFRACTORY: State.REFRACTORY}),
        (REST, {State.REFRACTORY: State.ALLOCATED}),
        (FREE, {State.ALLOCATED: State.AVAILABLE, State.REFRACTORY: State.AVAILABLE}),
    ],
)
def test_what_is_stored_is_the_end_of_a_passage(ends: np.ndarray, reached: dict[State, State]) -> None:
    assert ends.tolist() == [reached.get(state, ILLEGAL) for state in State]


@pytest.mark.parametrize("ends", [TAKE, WIN, REST, FREE])
@pytest.mark.parametrize("state", list(State))
def test_an_illegal_transition_of_one_column_changes_none(state: State, ends: np.ndarray) -> None:
    legal = int(np.flatnonzero(ends != ILLEGAL)[0])
    states = np.array([legal, state, legal], dtype=np.uint8)
    before = states.copy()
    if ends[state] != ILLEGAL:
        pass_through(states, np.arange(3), ends)
        assert states.tolist() == ends[before].tolist()
    else:
        with pytest.raises(IllegalTransitionError, match=f"column 1 is {state.name}"):
            pass_through(states, np.arange(3), ends)
        assert (states == before).all()


@pytest.mark.parametrize(("state", "concepts"), list(product(State, (0, 1, 7))))
def test_a_column_is_in_a_state_that_fits_with_what_is_on_it(state: State, concepts: int) -> None:
    fits = {0: {State.AVAILABLE, State.REFRACTORY}}.get(concepts, {State.ALLOCATED, State.REFRACTORY})
    states, held = np.array([4, state], dtype=np.uint8), np.array([1, concepts], dtype=np.int32)
    if state in fits:
        check_held(states, held, np.array([1, 0]))
    else:
        with pytest.raises(IllegalTransitionError, match=f"column 1 is {state.name}"):
            check_held(states, held, np.array([0, 1]))


WRONG_WHEN_USED = (State.AVAILABLE, State.ACTIVATED, State.COMPETING)


@pytest.mark.parametrize("state", WRONG_WHEN_USED)
def test_decisions_on_columns_in_impossible_states_change_nothing(state: State, kernels: Kernels) -> None:
    """Arrays that are damaged: what would win, leave or be taken in such a state is refused as a whole."""
    cortex = Cortex(kernels=kernels)
    cortex.apply(cortex.compete([put(1, "one"), put(2, "two"), put(3, "three")])[1])
    many: list[Put] = [put(10 + number, f"text {number}") for number in range(20)]
    winning = cortex.compete([*many, put(4, "two")])[1]
    leaving = cortex.compete([*many, put(2, "something else")])[1]
    cortex.arrays.states[1] = state
    before = everything_of(cortex)
    for decisions in (winning, leaving):
        with pytest.raises(IllegalTransitionError, match=f"column 1 is {state.name}"):
            cortex.apply(copied(decisions))
        assert everything_of(cortex) == before
    cortex.arrays.states[1] = State.ALLOCATED
    cortex.arrays.make_room(4)
    cortex.arrays.states[3] = state if state != State.AVAILABLE else State.ALLOCATED
    before = everything_of(cortex)
    with pytest.raises(IllegalTransitionError, match="column 3 is"):
        cortex.apply(copied(winning))
    assert everything_of(cortex) == before
