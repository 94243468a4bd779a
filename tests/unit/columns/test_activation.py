"""How active a column is: 1 more at each win, halved for each 1,024 operations that passed since."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import Cortex, CortexSettings, Decisions, Delete, Operation, Relate
from cortex_runtime.columns.decisions import Kind, Placing
from cortex_runtime.columns.kernels import Kernels
from unit.columns.worlds import Stored, copied, identifier, put

BITS = np.array([5, 6, 60_000], dtype=np.uint16)


def winning(before: int, gaps: list[int], columns: list[int], first: int = 0) -> Decisions:
    """Concepts that come to columns, each so many operations after the one before."""
    operation, placings = before, []
    taken = {column for column in range(4) if column < first}
    for number, (gap, column) in enumerate(zip(gaps, columns, strict=True)):
        operation += gap
        new = column not in taken
        taken.add(column)
        more = {"words": 2, "bits": BITS + np.uint16(3 * column)} if new else {}
        kind = Kind.TAKE if new else Kind.JOIN
        placings.append(Placing(kind, operation, identifier(1000 * before + number), column, **more))  # type: ignore[arg-type]
    return Decisions.of(before, operation - before, list(placings))


def expected(wins: list[int]) -> np.float32:
    """The activation at the last of the operations by which a column won, rounded as float32 after each."""
    activation, last = np.float32(0), wins[0]
    for win in wins:
        left = Fraction(float(activation)) / 2 ** ((win - last) // 1024)
        activation, last = np.float32(float(left + 1)), win
    return activation


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2, 700, 1023, 1024, 5000, 300_000]), st.integers(0, 2)),
        min_size=1, max_size=40,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_activation_rises_at_wins_and_halves_with_time(kernels: Kernels, wins: list[tuple[int, int]]) -> None:
    cortex = Cortex(kernels=kernels)
    renumbered = {column: number for number, column in enumerate(dict.fromkeys(c for _, c in wins))}
    columns = [renumbered[column] for _, column in wins]
    cortex.apply(copied(winning(0, [gap for gap, _ in wins], columns)))
    operations = np.cumsum([gap for gap, _ in wins])
    for column in set(columns):
        won = operations[np.array(columns) == column].tolist()
        assert cortex.arrays.activation[column] == expected(won)
        left = Fraction(float(expected(won))) / 2 ** ((cortex.operations - won[-1]) // 1024)
        assert cortex.activation_of(column) == float(left)


def test_many_wins_of_one_column_at_once_are_one_after_the_other(kernels: Kernels) -> None:
    cortex, single = Cortex(kernels=kernels), Cortex(kernels=kernels)
    gaps = [1] + [1500] + [1] * 300 + [1024] * 3
    cortex.apply(winning(0, gaps, [0] * len(gaps)))
    for number, gap in enumerate(gaps):
        single.apply(winning(single.operations, [gap], [0], first=min(number, 1)))
    assert cortex.activation_of(0) == single.activation_of(0)
    assert 39 < cortex.activation_of(0) < 41


def test_what_is_empty_is_not_active_and_what_was_restored_won_once(kernels: Kernels) -> None:
    cortex, stored = Cortex(CortexSettings(refractory=1), kernels), Stored()
    operations: list[Operation] = [
        put(1, "one"),
        put(2, "two"),
        put(3, "two"),
        put(4, "four"),
        Delete(identifier(1)),
    ]
    outcomes, decisions = cortex.compete(operations)
    cortex.apply(decisions)
    stored.store(operations, outcomes)
    assert [cortex.activation_of(column) for column in range(-1, 5)] == [0, 0, 2, 1, 0, 0]
    restored = stored.restore(CortexSettings(refractory=1), cortex.operations, kernels)
    assert [restored.activation_of(column) for column in range(4)] == [0, 1, 1, 0]
    assert restored.digest() == cortex.digest()
    passing = [Relate(identifier(2), identifier(4), "knows", 1.0)] * 1022
    cortex.apply(cortex.compete(passing)[1])
    assert [cortex.activation_of(column) for column in range(3)] == [0, 1, 1]
    assert cortex.compete([put(5, "five")])[0][0].column == 0
    cortex.apply(cortex.compete([put(5, "five")])[1])
    assert [cortex.activation_of(column) for column in range(3)] == [1, 1, pytest.approx(0.5)]
