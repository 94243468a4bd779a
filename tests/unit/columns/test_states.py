from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cortex_runtime.columns import IllegalTransitionError, State
from cortex_runtime.columns.states import FREE, LEGAL, PASSAGES, REST, TAKE, pass_through


def test_every_passage_is_made_of_legal_transitions() -> None:
    for passage in PASSAGES:
        assert all(after in LEGAL[before] for before, after in pairwise(passage))


def test_nothing_is_freed_or_taken_while_it_is_refractory() -> None:
    assert State.AVAILABLE not in LEGAL[State.REFRACTORY]
    assert set(LEGAL) == set(State)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("passage", [TAKE, REST, FREE])
def test_an_illegal_transition_changes_nothing(state: State, passage: tuple[State, ...]) -> None:
    states = np.array([passage[0], state, passage[0]], dtype=np.uint8)
    before = states.copy()
    if state == passage[0]:
        pass_through(states, np.arange(3), passage)
        assert (states == passage[-1]).all()
    else:
        with pytest.raises(IllegalTransitionError, match=state.name):
            pass_through(states, np.arange(3), passage)
        assert (states == before).all()
