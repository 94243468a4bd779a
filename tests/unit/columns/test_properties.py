from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    CapacityError,
    Competition,
    Cortex,
    CortexSettings,
    CycleError,
    Delete,
    DimensionError,
    InvalidOperationError,
    InvalidQueryError,
    NotFollowingError,
    Operation,
    Outcome,
    Put,
    Relate,
    UnknownConceptError,
    Unrelate,
)
from cortex_runtime.columns.model import MAX_TAGS
from cortex_runtime.columns.properties import Properties
from cortex_runtime.columns.rooms import RowLists
from unit.columns.worlds import ENCODER, QUICK, everything_of, identifier, inherit, plain, put, streams


def do(cortex: Cortex, *operations: Operation) -> list[Outcome]:
    outcomes, decisions = cortex.compete(operations)
    cortex.apply(decisions)
    return outcomes


def tagged(number: int, text: str, *tags: int, dimension: int = 0) -> Put:
    return put(number, text, tags, dimension)


def traits(chance: random.Random) -> tuple[list[int], int]:
    """Mostly few tags of few, so that rows have the same ones; sometimes as many as there may be."""
    size = chance.choice([0, 1, 2, 3, 5, 9, 40, MAX_TAGS if chance.random() < 0.02 else 1])
    range_ = range(60) if size < 10 else range(1 << 62)
    return sorted(tag * 0x9E3779B97F % (1 << 64) for tag in chance.sample(range_, size)), chance.choice(
        [0, 384]
    )


def check_held(properties: Properties, expected: dict[int, tuple[list[int], int]]) -> None:
    rows = np.arange(400)
    sizes, tags = properties.tags_by_row(rows)
    assert tags.tolist() == [tag for row in range(400) for tag in expected.get(row, ([], 0))[0]]
    assert sizes.tolist() == [len(expected.get(row, ([], 0))[0]) for row in range(400)]
    assert properties.dimensions_of(rows).tolist() == [expected.get(row, ([], 0))[1] for row in range(400)]
    assert properties.vectors == sum(dimension > 0 for _, dimension in expected.values())
    assert properties.dimension == (384 if properties.vectors else 0)
    for tag in sorted({tag for held, _ in expected.values() for tag in held})[::7]:
        having = [row for row in sorted(expected) if tag in expected[row][0]]
        assert properties.rows_with(tag).tolist() == having
        first, there = properties.first_from(rows, max(tag, 1) - 1)
        for row, found, any_ in zip(range(400), first.tolist(), there.tolist(), strict=True):
            after = [each for each in expected.get(row, ([], 0))[0] if each >= max(tag, 1) - 1]
            assert (found if any_ else None) == (after[0] if after else None)
    assert properties.rows_with(3).size == 0


def test_tags_are_what_a_dictionary_would_hold() -> None:
    chance, properties = random.Random(5), Properties()
    expected: dict[int, tuple[list[int], int]] = {}
    check_held(properties, expected)
    for step in range(4000):
        row = chance.randrange(300)
        if chance.random() < 0.2:
            properties.drop(row)
            expected.pop(row, None)
        else:
            expected[row] = traits(chance)
            properties.set(row, np.array(expected[row][0], dtype=np.uint64), expected[row][1])
        if step % 500 == 499:
            check_held(properties, expected)
            before, properties = properties, Properties()
            properties.restore(before.state())


@pytest.mark.parametrize("seed", range(8))
def test_many_at_once_are_one_after_the_other(seed: int) -> None:
    chance, together, alone = random.Random(seed), Properties(), Properties()
    expected: dict[int, tuple[list[int], int]] = {}
    for first, last in ((0, 79), (80, 159), (160, 199), (0, 250)):
        rows = (
            list(range(first, first + 80)) if last < 160 else [chance.randint(first, last) for _ in range(80)]
        )
        given = [traits(chance) for _ in rows]
        for row, (tags, dimension) in zip(rows, given, strict=True):
            alone.set(row, np.array(tags, dtype=np.uint64), dimension)
            expected[row] = tags, dimension
        together.set_many(
            np.array(rows),
            np.array([len(tags) for tags, _ in given]),
            np.array([tag for tags, _ in given for tag in tags], dtype=np.uint64),
            np.array([dimension for _, dimension in given], dtype=np.uint16),
        )
        check_held(together, expected)
        for name in ("dimensions", "sizes", "starts", "arena", "chains", "list_lengths"):
            assert np.array_equal(together.state()[name], alone.state()[name]), name


def test_a_list_forgets_rows_that_lost_the_tag() -> None:
    properties, tag = Properties(), np.array([7], dtype=np.uint64)
    for row in range(1000):
        properties.set(row, tag, 0)
    full = properties.steps_to(7)
    for _ in range(20):
        for row in range(1000):
            properties.drop(row)
            properties.set(row, tag, 0)
    assert properties.steps_to(7) < 4 * full
    for row in range(995):
        properties.drop(row)
    assert properties.steps_to(7) <= 2 * (5 + 9)
    assert properties.rows_with(7).tolist() == [995, 996, 997, 998, 999]


def test_rooms_that_were_given_up_are_used_again() -> None:
    properties, sizes = Properties(), []
    for round_ in range(30):
        for row in range(200):
            properties.set(row, np.arange(1 + (row + round_) % 10, dtype=np.uint64), 0)
        sizes.append(properties.nbytes)
    assert sizes[-1] < 3 * sizes[0]


def test_lists_use_rooms_again() -> None:
    lists = RowLists(3)
    for round_ in range(300):
        lists.replace(1, np.arange(100 + round_ % 200, dtype=np.int32))
        lists.add(np.array([2, 0, 2]), np.array([round_, 1, 2]))
        lists.replace(0, np.zeros(0, dtype=np.int32))
    assert lists.of(1).tolist() == list(range(299))[: 100 + 299 % 200]
    assert lists.of(2).tolist() == [row for round_ in range(300) for row in (round_, 2)]
    assert lists.of(0).tolist() == []
    assert lists.nbytes < 4 * 6000


def test_a_row_without_tags_costs_8_bytes_at_most() -> None:
    properties, bare = Properties(), Properties().nbytes
    properties.set(99_999, np.zeros(0, dtype=np.uint64), 0)
    assert (properties.nbytes - bare) / 100_000 < 8 * 1.3


@pytest.mark.parametrize("together", [True, False])
def test_a_put_replaces_the_tags_and_the_record_has_them(together: bool) -> None:
    operations: list[Operation] = [
        tagged(1, "a b", 3, 7), tagged(1, "a b", 4), tagged(1, "other", 4, dimension=9), tagged(1, "other"),
        Delete(identifier(1)), tagged(1, "other"), tagged(1, "other", 2),
    ]  # fmt: skip
    cortex = Cortex(QUICK)
    outcomes = do(cortex, *operations) if together else [do(cortex, one)[0] for one in operations]
    stored = [outcome.record and (outcome.record.tags, outcome.record.dimension) for outcome in outcomes]
    assert stored == [((3, 7), 0), ((4,), 0), ((4,), 9), ((), 0), None, ((), 0), ((2,), 0)]
    assert [outcome.kind for outcome in outcomes[:4]] == ["allocated", "updated", "allocated", "updated"]
    assert cortex.traits_of(identifier(1)) == ((2,), 0)
    assert cortex.traits_of(identifier(2)) == ((), 0)


def test_only_a_change_of_tags_is_decided() -> None:
    cortex = Cortex()
    do(cortex, tagged(1, "a b", 3, 7))
    _, decisions = cortex.compete([tagged(1, "a b", 3, 7), put(2, "c"), tagged(1, "a b", 3, 8)])
    assert decisions.trait_steps.tolist() == [3]
    assert decisions.tags.tolist() == [3, 8]


def test_what_is_deleted_and_put_again_has_no_old_tags() -> None:
    cortex = Cortex()
    do(cortex, tagged(1, "a b", 3, 7, dimension=5))
    do(cortex, Delete(identifier(1)))
    assert (cortex.properties.vectors, cortex.properties.dimension) == (0, 0)
    do(cortex, put(2, "takes the row"), put(1, "a b"))
    assert [cortex.traits_of(identifier(number)) for number in (1, 2)] == [((), 0), ((), 0)]


@pytest.mark.parametrize("applied", [True, False])
def test_vectors_of_another_length_are_refused_until_the_last_of_the_first_is_gone(applied: bool) -> None:
    cortex = Cortex()
    competition = Competition(cortex)
    competition.add(tagged(1, "a", dimension=384))
    competition.add(tagged(2, "b", dimension=384))
    if applied:
        cortex.apply(competition.decisions())
        competition = Competition(cortex)
    for other in (tagged(3, "c", dimension=385), tagged(1, "a", dimension=3)):
        before = competition.decisions().to_bytes()
        with pytest.raises(DimensionError, match="384"):
            competition.add(other)
        assert competition.decisions().to_bytes() == before
    assert competition.add(tagged(3, "text")).kind == "allocated"
    competition.add(Delete(identifier(2)))
    assert competition.add(tagged(1, "a", dimension=3)).kind == "updated"
    with pytest.raises(DimensionError, match="3"):
        competition.add(tagged(2, "b", dimension=384))
    competition.add(tagged(1, "a"))
    assert competition.add(tagged(2, "b", dimension=384)).kind == "allocated"


@pytest.mark.parametrize("refractory", [0, 100])
def test_a_full_cortex_refuses_what_needs_a_column_and_stays_as_it_was(refractory: int) -> None:
    cortex = Cortex(CortexSettings(capacity=3, refractory=refractory))
    do(cortex, put(0, "zero"), put(1, "one"), put(2, "two"))
    competition = Competition(cortex)
    assert competition.add(put(3, "two")).kind == "joined"
    before = competition.decisions().to_bytes()
    for refused in (put(4, "four"), put(2, "changed")):
        with pytest.raises(CapacityError, match="3 columns"):
            competition.add(refused)
        assert competition.decisions().to_bytes() == before
    assert competition.add(put(3, "zero")).kind == "joined"
    competition.add(Delete(identifier(1)))
    if refractory:
        with pytest.raises(CapacityError):
            competition.add(put(4, "four"))
    else:
        assert competition.add(put(4, "four")).column == 1
    cortex.apply(competition.decisions())


@pytest.mark.parametrize(
    ("tags", "dimension"),
    [
        ((2, 1), 0), ((1, 1), 0), ((-1,), 0), ((1 << 64,), 0), (tuple(range(MAX_TAGS + 1)), 0), ((0.5,), 0),
        ((), -1), ((), 65_536),
    ],
)  # fmt: skip
def test_malformed_tags_and_dimensions_are_refused(tags: tuple[int, ...], dimension: int) -> None:
    with pytest.raises(InvalidOperationError):
        Cortex().compete([tagged(1, "a", *tags, dimension=dimension)])


def test_tags_up_to_the_largest_survive_their_bytes() -> None:
    cortex = Cortex()
    do(cortex, tagged(1, "a", 0, (1 << 64) - 1, dimension=65_535))
    assert cortex.traits_of(identifier(1)) == ((0, (1 << 64) - 1), 65_535)


X = ENCODER.encode("x")
FULL: list[tuple[Operation, type[Exception]]] = [
    (put(50, "new one"), CapacityError),
    (put(22, "moved"), CapacityError),
]
BAD: list[tuple[Operation, type[Exception]]] = [
    (put(20, "x", (), 385), DimensionError),
    (put(20, "x", (2, 1)), InvalidOperationError),
    (put(20, "x", (), -1), InvalidOperationError),
    (Put(b"short", X.bits, X.words), InvalidOperationError),
    (Put(identifier(20), X.bits[:0], 0), InvalidOperationError),
    (Delete(b""), InvalidOperationError),
    (Relate(identifier(20), identifier(50), "has", 1.0), UnknownConceptError),
    (Relate(identifier(20), identifier(21), "has", float("nan")), InvalidOperationError),
    (Relate(identifier(20), identifier(21), "", 1.0), InvalidOperationError),
    (inherit(20, 20), CycleError),
    (inherit(21, 20), CycleError),
    (Unrelate(identifier(20), b"", "has"), InvalidOperationError),
]


def outcome_of(competition: Competition, operation: Operation) -> object:
    try:
        return plain(competition.add(operation))
    except InvalidOperationError as error:
        return type(error), str(error)


@given(streams(30), st.booleans(), st.lists(st.sampled_from(BAD), min_size=1, max_size=4), streams(10))
@settings(max_examples=60, deadline=None)
def test_a_refused_operation_leaves_everything_as_it_was(
    before: list[Operation],
    full: bool,
    refused: list[tuple[Operation, type[Exception]]],
    after: list[Operation],
) -> None:
    cortex = Cortex(QUICK)
    do(cortex, *(put(number, "twenty", (3,), 384) for number in (20, 21)), put(22, "twentytwo"))
    do(cortex, inherit(20, 22), inherit(22, 21), *before)
    if full:
        cortex.settings = replace(QUICK, capacity=1)
        refused = refused + FULL
    competition, alone = Competition(cortex), Competition(cortex)
    known = everything_of(cortex)
    for operation in after:
        for bad, error in refused:
            with pytest.raises(error):
                competition.add(bad)
        assert outcome_of(competition, operation) == outcome_of(alone, operation)
    assert competition.decisions().to_bytes() == alone.decisions().to_bytes()
    assert everything_of(cortex) == known


@given(streams(30))
@settings(max_examples=20, deadline=None)
def test_refused_queries_and_decisions_leave_everything_as_it_was(operations: list[Operation]) -> None:
    cortex = Cortex(QUICK)
    do(cortex, *operations)
    known = everything_of(cortex)
    impossible: list[dict[str, Any]] = [{"k": 0}, {"k": 1 << 40}, {"hops": 4}, {"decay": float("nan")}]
    for options in impossible:
        with pytest.raises(InvalidQueryError):
            cortex.query(X, **options)
    _, decisions = cortex.compete([put(20, "twenty", (3,), 384)])
    for wrong in (
        replace(decisions, before=cortex.operations + 1),
        replace(decisions, columns=decisions.columns + 1000),
        replace(decisions, trait_ids=decisions.trait_ids + 1),
    ):
        with pytest.raises(NotFollowingError):
            cortex.apply(wrong)
    assert everything_of(cortex) == known
