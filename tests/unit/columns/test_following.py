"""Which placings follow on a state, beside a dictionary that follows them one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    Cortex,
    CortexSettings,
    Decisions,
    Delete,
    NotFollowingError,
    Operation,
    arriving,
)
from cortex_runtime.columns.decisions import Kind, Placing
from cortex_runtime.columns.following import Placings
from cortex_runtime.columns.kernels import Kernels
from unit.columns.worlds import QUICK, Stored, everything_of, identifier, put

WORDS = ["one", "two", "three", "four", "five", "six", "seven"]


def cortex_with(kernels: Kernels, *, restored: bool) -> Cortex:
    """Columns 0 to 6: 0 and 1 were won long ago, 2 and 5 are empty, 6 won just now, 3 has two concepts."""
    live, stored = Cortex(QUICK, kernels), Stored()
    operations: list[Operation] = [put(number, word) for number, word in enumerate(WORDS[:6])]
    operations += [put(9, "four")]
    for operation in (*operations, Delete(identifier(2)), Delete(identifier(5)), put(6, "seven")):
        outcomes, decisions = live.compete([operation])
        live.apply(decisions)
        stored.store([operation], outcomes)
    if not restored:
        return live
    return stored.restore(QUICK, live.operations, kernels)


def expected(cortex: Cortex, kinds: list[int], columns: list[int], names: list[int], steps: list[int]) -> int:
    """The first placing that is impossible, by the rules as they are told, one after the other."""
    refractory, restored = cortex.settings.refractory, max(cortex.restored_at, 0)
    at = {row: int(cortex.concepts.columns[row]) for row in range(cortex.concepts.ids.shape[0])}
    size = cortex.arrays.states.size
    held = {column: int(cortex.arrays.concepts[column]) for column in range(size)}
    won = {column: int(cortex.arrays.last_operation[column]) for column in range(size)}
    for place, (kind, column, name, step) in enumerate(zip(kinds, columns, names, steps, strict=True)):
        where, operation = at.get(name, -1), cortex.operations + step
        if kind in (Kind.TAKE, Kind.JOIN):
            resting = won.get(column, 0) > restored and won[column] + refractory >= operation
            free = held.get(column, 0) == 0 and not resting
            if where != -1 or not (free if kind == Kind.TAKE else held.get(column, 0) > 0):
                return place
            at[name], held[column], won[column] = column, held.get(column, 0) + 1, operation
        else:
            if where != column:
                return place
            at[name], held[column] = -1, held[column] - 1
    return -1


PLACINGS = st.lists(
    st.tuples(st.sampled_from(list(Kind)[:4]), st.integers(0, 8), st.integers(-4, 8), st.integers(0, 2)),
    min_size=1,
    max_size=16,
)


@pytest.mark.parametrize("restored", [False, True])
@given(PLACINGS, st.data())
@settings(max_examples=60, deadline=None)
def test_the_first_impossible_placing_is_found(
    kernels: Kernels, restored: bool, drawn: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    cortex = CORTEXES.setdefault((kernels.name, restored), cortex_with(kernels, restored=restored))
    kinds, columns, names, gaps = map(list, zip(*drawn, strict=True))
    names = [name if name != -1 else -2 for name in names]
    steps = np.cumsum([1, *gaps[1:]]).tolist()
    for _ in range(len(drawn)):  # turn what is impossible into something that may follow, most of the time
        place = expected(cortex, kinds, columns, names, steps)
        if place < 0 or data.draw(st.integers(0, 9)) == 0:
            break
        for each in (kinds, columns, names, steps):
            del each[place]
        if not kinds:
            return
    found = first_impossible(cortex, kinds, columns, names, steps)
    assert found == expected(cortex, kinds, columns, names, steps)


def first_impossible(
    cortex: Cortex, kinds: list[int], columns: list[int], names: list[int], steps: list[int]
) -> int:
    zeros = np.zeros(len(kinds), dtype=np.uint8)
    placings = Placings(
        np.array(kinds, dtype=np.uint8), np.array(columns), cortex.operations + np.array(steps),
        np.array(names), zeros, zeros.astype(np.int32), zeros, np.zeros(0, dtype=np.uint16),
        zeros.astype(np.int64),
    )  # fmt: skip
    return cortex.kernels.applying.first_impossible(cortex, placings)


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(("joined", "left"), [(False, 1), (False, 4), (True, 1), (True, 4)])
def test_a_column_that_was_won_in_the_batch_rests_as_any_other(
    kernels: Kernels, restored: bool, joined: bool, left: int
) -> None:
    """Column 7 is taken by the first operation, maybe joined by the third, and left by all soon or later."""
    cortex = CORTEXES.setdefault((kernels.name, restored), cortex_with(kernels, restored=restored))
    kinds, columns, names, steps = [int(Kind.TAKE)], [7], [-2], [1]
    if joined:
        kinds, columns, names, steps = [*kinds, Kind.JOIN], [7, 7], [-2, -3], [1, 3]
    kinds, steps = [*kinds, *[Kind.DELETE] * len(names)], [*steps, *[3 + left] * len(names)]
    columns, names = [7] * 2 * len(names), names * 2
    last_win = 3 if joined else 1
    for step in range(3 + left, 12):
        again = [*kinds, Kind.TAKE], [*columns, 7], [*names, -9], [*steps, step]
        rests = last_win + QUICK.refractory >= step
        assert expected(cortex, *again) == (len(kinds) if rests else -1)
        assert first_impossible(cortex, *again) == expected(cortex, *again)
        other = [*kinds, Kind.JOIN], [*columns, 7], [*names, -9], [*steps, step]
        assert first_impossible(cortex, *other) == len(kinds)


CORTEXES: dict[tuple[str, bool], Cortex] = {}


def of_one_word(kernels: Kernels) -> tuple[Cortex, Decisions]:
    """A cortex, and a batch of 30 that go to columns of their own; the last joins the first."""
    cortex = Cortex(CortexSettings(refractory=2), kernels)
    cortex.apply(cortex.compete([put(100, "before"), put(101, "gone"), Delete(identifier(101))])[1])
    batch = [put(number, f"word{number}") for number in range(30)] + [put(30, "word0")]
    return cortex, cortex.compete(batch)[1]


@pytest.mark.parametrize("place", [0, 13, 29])
def test_a_batch_with_one_impossible_placing_changes_nothing(place: int, kernels: Kernels) -> None:
    cortex, decisions = of_one_word(kernels)
    assert decisions.kinds.tolist() == [Kind.TAKE] * 30 + [Kind.JOIN]
    before = everything_of(cortex)
    other = (place + 7) % 30
    known = np.frombuffer(identifier(100), dtype=np.uint8)
    for name, value in (
        ("ids", decisions.ids[other]), ("ids", known), ("columns", decisions.columns[other]), ("columns", 0),
        ("columns", 10_000),
    ):  # fmt: skip
        changed = getattr(decisions, name).copy()
        changed[place] = value
        with pytest.raises(NotFollowingError, match=r"is not possible|out of reach"):
            cortex.apply(replace(decisions, **{name: changed}))
        assert everything_of(cortex) == before
    joining = decisions.columns.copy()
    joining[-1] = 34
    with pytest.raises(NotFollowingError, match="JOIN of column 34 is not possible"):
        cortex.apply(replace(decisions, columns=joining))
    assert everything_of(cortex) == before
    cortex.apply(decisions)


@pytest.mark.parametrize("restored", [False, True])
@given(
    st.sampled_from([Kind.TAKE, Kind.JOIN]), st.integers(-2, 12), st.integers(0, 12), st.integers(0, 4),
)  # fmt: skip
@example(Kind.TAKE, 6, 12, 0)
@example(Kind.TAKE, 6, 12, 4)
@settings(max_examples=80, deadline=None)
def test_a_placing_alone_follows_as_one_of_many_does(
    kernels: Kernels, restored: bool, kind: Kind, column: int, name: int, later: int
) -> None:
    alone, among = cortex_with(kernels, restored=restored), cortex_with(kernels, restored=restored)
    for cortex in (alone, among):  # column 6 is empty now, and rests
        cortex.apply(cortex.compete([Delete(identifier(6))])[1])
    before = everything_of(alone)
    bits = put(name, "eight").bits
    taken = (0, -1, bits) if kind == Kind.TAKE else ()
    placing = Placing(kind, alone.operations + 1 + later, identifier(name), column, *taken)
    decisions = Decisions.of(alone.operations, 1 + later, [placing])
    assert arriving.is_alone(decisions)
    results = []
    for cortex in (alone, among):
        with pytest.MonkeyPatch.context() as patch:
            if cortex is among:
                patch.setattr(arriving, "is_alone", lambda _: False)
            try:
                cortex.apply(decisions)
                results.append("")
            except NotFollowingError as error:
                results.append(str(error))
                assert everything_of(cortex) == before
    assert results[0] == results[1]
    assert everything_of(alone) == everything_of(among)


def test_a_relationship_follows_only_while_its_source_is_there(kernels: Kernels) -> None:
    cortex = Cortex(kernels=kernels)
    cortex.apply(cortex.compete([put(1, "one"), put(2, "two")])[1])
    _, decisions = cortex.compete([put(3, "three"), Delete(identifier(1)), put(4, "four"), put(1, "again")])
    before = everything_of(cortex)
    for source, step, good in (
        (1, 1, True), (1, 2, False), (1, 3, False), (1, 4, True), (3, 1, True), (4, 2, False), (4, 3, True),
        (2, 4, True), (9, 4, False),
    ):  # fmt: skip
        ids = np.frombuffer(identifier(source) + identifier(77), dtype=np.uint8).reshape(2, 16)
        related = replace(
            decisions, edge_kinds=np.array([Kind.RELATE], dtype=np.uint8), types=("knows",),
            edge_steps=np.array([step], dtype=np.uint32), sources=ids[:1], targets=ids[1:],
            edge_types=np.zeros(1, dtype=np.uint16), weights=np.ones(1, dtype=np.float32),
        )  # fmt: skip
        if good:
            fresh = Cortex(kernels=kernels)
            fresh.apply(fresh.compete([put(1, "one"), put(2, "two")])[1])
            fresh.apply(Decisions.from_bytes(related.to_bytes()))
            # What is related before its source goes, goes with it.
            assert fresh.relationship_count == (0 if (source, step) == (1, 1) else 1)
        else:
            with pytest.raises(NotFollowingError, match="not there"):
                cortex.apply(related)
            assert everything_of(cortex) == before
