from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    CapacityError,
    Competition,
    Cortex,
    CortexSettings,
    Delete,
    DimensionError,
    InvalidOperationError,
    NotFollowingError,
    Operation,
    Outcome,
    Put,
    QuotaError,
    Relate,
    State,
    TooManyTypesError,
    UnknownConceptError,
    Unrelate,
    following,
    model,
    overlay,
)
from cortex_runtime.columns.free import FreeColumns, FreeView
from cortex_runtime.columns.kernels import VARIABLE, Kernels, chosen
from cortex_runtime.columns.model import check, well_formed
from unit.columns.rivals import Rivals
from unit.columns.worlds import (
    ENCODER,
    QUICK,
    arrays_of,
    everything_of,
    filled,
    identifier,
    one_by_one,
    plain,
    put,
    streams,
    texts,
)

BASE = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
LIKE = "alpha beta gamma delta epsilon zeta eta theta other words"


@pytest.fixture(autouse=True, scope="module")
def _on_both_kernels(kernels: Kernels) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, kernels.name)
        yield


def do(cortex: Cortex, *operations: Operation) -> list[Outcome]:
    outcomes, decisions = cortex.compete(operations)
    cortex.apply(decisions)
    return outcomes


def with_others(configuration: CortexSettings | None = None) -> Cortex:
    """A cortex of 200 columns, in which words weigh something."""
    cortex = Cortex(configuration)
    do(cortex, *(put(number, f"{text} unlike{number}") for number, text in enumerate(texts(200))))
    for _ in range(configuration.refractory if configuration else 64):
        cortex.apply(cortex.compete([Delete(identifier(9999))])[1])
    assert cortex.columns == 200
    return cortex


def test_the_first_concept_takes_the_first_column() -> None:
    cortex = Cortex()
    (outcome,) = do(cortex, put(1, BASE))
    assert (outcome.kind, outcome.column, outcome.overlap, outcome.variant_of) == ("allocated", 0, 0.0, -1)
    assert cortex.ids_of(0) == (identifier(1),)
    assert cortex.arrays.states[0] == State.REFRACTORY


def test_a_duplicate_joins_and_adopts_the_columns_bits() -> None:
    cortex = with_others()
    first, second = do(cortex, put(1001, BASE), put(1002, f"{BASE}!"))
    assert (second.kind, second.column, second.overlap) == ("joined", first.column, 1.0)
    assert second.record is not None
    assert second.record.bits.tolist() == ENCODER.encode(BASE).bits.tolist()
    assert set(cortex.ids_of(first.column or 0)) == {identifier(1001), identifier(1002)}
    assert cortex.columns == 201


def test_the_join_threshold_decides_between_joining_and_taking() -> None:
    for threshold, kind in ((0.95, "allocated"), (0.5, "joined")):
        cortex = with_others(CortexSettings(join_threshold=threshold))
        do(cortex, put(1001, BASE))
        (outcome,) = do(cortex, put(1002, LIKE))
        assert 0.5 < outcome.overlap < 0.95
        assert outcome.kind == kind


def test_what_is_taken_within_the_radius_is_a_variant() -> None:
    for radius, linked in ((0.5, True), (0.9, False), (0.0, False)):
        cortex = with_others(CortexSettings(radius=radius))
        (first,) = do(cortex, put(1001, BASE))
        (outcome,) = do(cortex, put(1002, LIKE))
        assert outcome.kind == "allocated"
        assert (outcome.variant_of == first.column) == linked
        assert cortex.arrays.variant_of[outcome.column] == (first.column if linked else -1)


def test_the_radius_suppresses_candidates_that_are_like_a_stronger_winner() -> None:
    def winners(radius: float) -> tuple[int, ...]:
        # Put where nothing joins, then compete under other settings for the same columns.
        cortex = with_others(CortexSettings(join_threshold=1.0, radius=0.0))
        do(cortex, put(1001, BASE), put(1002, f"{BASE} lambda"), put(1003, f"{BASE} mu"))
        do(cortex, put(1004, "alpha beta gamma delta epsilon nu xi omicron pi rho"))
        cortex.settings = CortexSettings(radius=radius, join_threshold=0.4, winners=3)
        return cortex.compete([put(1005, BASE)])[0][0].winners

    assert winners(0.0) == (200, 201, 202)
    assert winners(0.35)[:1] == (200,)
    assert 201 not in winners(0.35)
    assert 203 in winners(0.35)


def test_competing_changes_nothing() -> None:
    cortex = with_others()
    do(cortex, Relate(identifier(1), identifier(5000), "has", 0.5, pending=True))
    before, digest, postings = arrays_of(cortex), cortex.digest(), cortex.postings.counts.copy()
    operations: list[Operation] = [put(number, text) for number, text in enumerate(texts(300, seed=3))]
    operations += [Delete(identifier(3)), Relate(identifier(1), identifier(2), "is a", 1.0)]
    cortex.compete([*operations, Unrelate(identifier(1), identifier(5000), "has")])
    cortex._digest = None
    assert (arrays_of(cortex), cortex.digest()) == (before, digest)
    assert (cortex.postings.counts == postings).all()
    assert cortex.relationship_count == 1


def test_a_put_of_the_same_bits_changes_no_column() -> None:
    cortex = with_others(QUICK)
    first, _ = do(cortex, put(1001, BASE), put(1002, LIKE))
    states = arrays_of(cortex)[:6]
    (again,) = do(cortex, put(1001, BASE))
    assert (again.kind, again.column) == ("updated", first.column)
    assert plain(again)[-1] == plain(first)[-1]
    assert arrays_of(cortex)[1:6] == states[1:]


def test_a_put_of_other_bits_competes_anew() -> None:
    cortex = with_others(CortexSettings(refractory=0))
    (first,) = do(cortex, put(1001, BASE))
    (other,) = do(cortex, put(1001, "entirely different content"))
    assert other.kind == "allocated"
    assert other.column == first.column
    assert cortex.columns == 201
    query = cortex.query(ENCODER.encode(BASE), 1).matches
    assert not query or query[0].overlap < 0.5


def test_one_of_several_stays_on_the_column_that_is_still_like_it() -> None:
    cortex = with_others(CortexSettings(join_threshold=0.5))
    first, joined = do(cortex, put(1001, BASE), put(1002, LIKE))
    assert joined.kind == "joined"
    (again,) = do(cortex, put(1002, LIKE))
    assert (again.kind, again.column) == ("updated", first.column)
    assert plain(again)[-1] == plain(joined)[-1]


def test_a_refractory_column_is_joined_but_not_freed_or_taken_until_its_time_is_over() -> None:
    cortex = Cortex(CortexSettings(refractory=4))
    do(cortex, put(1, BASE))  # operation 1: column 0 rests until operation 5
    assert do(cortex, put(2, BASE))[0].kind == "joined"  # operation 2: until 6
    do(cortex, Delete(identifier(1)), Delete(identifier(2)))  # operation 4
    assert cortex.arrays.states[0] == State.REFRACTORY
    assert cortex.query(ENCODER.encode(BASE), 1).matches == ()
    taken = [do(cortex, put(number, f"text{number}"))[0].column for number in (5, 6, 7)]
    assert taken == [1, 2, 0]
    assert cortex.arrays.states[:3].tolist() == [State.REFRACTORY] * 3


def test_the_last_operation_of_a_refractory_time_still_counts() -> None:
    for refractory, column in ((1, 1), (0, 0)):
        cortex = Cortex(CortexSettings(refractory=refractory))
        do(cortex, put(1, BASE))
        assert do(cortex, put(1, "something else"))[0].column == column


def test_a_freed_column_is_as_it_was_at_first() -> None:
    cortex, untouched = Cortex(QUICK), Cortex(QUICK)
    do(cortex, put(1, BASE), put(2, LIKE), put(3, "third"), Delete(identifier(1)), Delete(identifier(2)))
    for _ in range(QUICK.refractory):
        do(cortex, Delete(identifier(9)))
    untouched.arrays.make_room(3)
    for name in ("states", "bits", "words", "concepts", "variant_of", "last_operation"):
        assert np.array_equal(getattr(cortex.arrays, name)[:2], getattr(untouched.arrays, name)[:2]), name


def test_states_follow_the_time_of_the_cortex() -> None:
    cortex = Cortex(CortexSettings(refractory=2))
    do(cortex, put(1, BASE))
    seen = [int(cortex.arrays.states[0])]
    for number in (2, 3):
        do(cortex, put(number, f"text{number}"))
        seen.append(int(cortex.arrays.states[0]))
    assert seen == [State.REFRACTORY, State.REFRACTORY, State.ALLOCATED]
    do(cortex, Delete(identifier(1)))
    assert cortex.arrays.states[0] == State.AVAILABLE


def test_relationships_need_a_source_and_wait_for_their_target() -> None:
    cortex = Cortex()
    kinds = [
        outcome.kind
        for outcome in do(
            cortex,
            Relate(identifier(1), identifier(2), "has", 0.5, pending=True),
            put(1, BASE),
            Relate(identifier(1), identifier(2), "has", 0.5, pending=True),
            Unrelate(identifier(1), identifier(3), "has"),
            Delete(identifier(9)),
        )
    ]
    assert kinds == ["absent", "allocated", "related", "absent", "absent"]
    assert (cortex.relationship_count, cortex.pending_count) == (1, 1)
    do(cortex, put(2, "something else"))
    assert (cortex.relationship_count, cortex.pending_count) == (1, 0)
    assert [edge.target for edge in cortex.relationships_of(identifier(1))] == [identifier(2)]


def test_a_deleted_concept_takes_its_relationships_with_it() -> None:
    cortex = Cortex()
    do(cortex, put(1, BASE), put(2, LIKE), put(3, "third"))
    do(cortex, Relate(identifier(1), identifier(2), "a", 1.0), Relate(identifier(3), identifier(1), "b", 1.0))
    do(
        cortex,
        Relate(identifier(1), identifier(1), "self", 1.0),
        Relate(identifier(1), identifier(9), "c", 1.0, pending=True),
    )
    do(cortex, Relate(identifier(2), identifier(3), "kept", 1.0))
    outcomes = do(cortex, Delete(identifier(1)), Unrelate(identifier(3), identifier(1), "b"))
    assert [outcome.kind for outcome in outcomes] == ["deleted", "absent"]
    assert (cortex.relationship_count, cortex.pending_count) == (1, 0)
    assert cortex.column_of(identifier(1)) is None
    assert len(cortex.concepts) == 2


def near_duplicates(count: int) -> list[Operation]:
    return [put(number, f"{BASE} extra{number % 16} more{number % 5}") for number in range(count)]


@pytest.mark.parametrize(
    ("configuration", "winners"),
    [
        (CortexSettings(join_threshold=0.8), 5),
        (CortexSettings(join_threshold=0.8, radius=0.3, winners=100), 15),
        (CortexSettings(join_threshold=0.8, radius=0.0), 1),
        (CortexSettings(join_threshold=1.0, radius=1.0), 1),
    ],
)
def test_256_near_duplicates_of_each_other_in_one_batch(configuration: CortexSettings, winners: int) -> None:
    near = near_duplicates(256)
    alone, expected = one_by_one(near, configuration)
    batch = Cortex(configuration)
    outcomes = do(batch, *near)
    assert [plain(outcome) for outcome in outcomes] == [plain(outcome) for outcome in expected]
    assert batch.digest() == alone.digest()
    assert {outcome.kind for outcome in outcomes} == {"allocated", "joined"}
    assert max(len(outcome.winners) for outcome in outcomes) == winners


def test_no_more_than_64_candidates_win_however_many_there_are() -> None:
    words = [f"only{number}" for number in range(100)]
    cortex = filled(300, settings=CortexSettings(radius=0.0, join_threshold=0.4, winners=1000))
    do(cortex, *(put(1000 + number, f"{BASE} {word}") for number, word in enumerate(words)))
    cortex.settings = CortexSettings(radius=0.0, join_threshold=0.7, winners=1000)
    outcomes, _ = cortex.compete(
        [put(2000 + number, f"{BASE} {word} two") for number, word in enumerate(words)]
    )
    assert {len(outcome.winners) for outcome in outcomes} <= {1, 64}


@pytest.mark.parametrize("size", [1, 7, 256, 500])
def test_batches_of_any_size_decide_the_same_with_numpy_and_numba(size: int) -> None:
    chance = random.Random(5)
    operations: list[Operation] = [
        put(chance.randrange(400), text) for text in texts(500, seed=2, vocabulary=150, length=5)
    ]
    for place in range(0, 500, 37):
        operations[place] = Delete(identifier(chance.randrange(400)))
    operations[100:200] = near_duplicates(100)
    cortex, reference = Cortex(QUICK), Cortex(QUICK, chosen("numpy"))
    decided, expected = [], []
    for start in range(0, 500, size):
        outcomes, decisions = cortex.compete(operations[start : start + size])
        cortex.apply(decisions)
        decided += [plain(outcome) for outcome in outcomes]
    outcomes, decisions = reference.compete(operations)
    reference.apply(decisions)
    expected = [plain(outcome) for outcome in outcomes]
    assert decided == expected
    assert cortex.digest() == reference.digest()


def crowds() -> st.SearchStrategy[list[Operation]]:
    """Puts of many ids and of few words, so that many of them are alike; now and then a delete."""
    number = st.integers(0, 99)
    words = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=6)
    some = st.builds(put, number, words.map(lambda each: " ".join(f"{word}{word}" for word in each)))
    return st.lists(st.one_of(some, some, some, some, st.builds(Delete, number.map(identifier))), max_size=60)


@given(
    crowds(),
    st.sampled_from([0.0, 0.2, 0.5, 0.8]),
    st.sampled_from([0.3, 0.6, 0.9, 1.0]),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([0, 2, 64]),
)
@settings(max_examples=60, deadline=None)
def test_what_is_decided_is_what_the_definition_says(
    operations: list[Operation], radius: float, threshold: float, winners: int, refractory: int
) -> None:
    configuration = CortexSettings(radius, winners, threshold, refractory)
    rivals, cortex = Rivals(configuration), Cortex(configuration)
    half = len(operations) // 2
    outcomes = do(cortex, *operations[:half]) + do(cortex, *operations[half:])
    for operation, outcome in zip(operations, outcomes, strict=True):
        kind, column, overlap, won, variant_of = rivals.add(operation)
        assert (outcome.kind, outcome.column, outcome.overlap) == (kind, column, overlap)
        assert outcome.winners == won
        if kind == "allocated":
            assert outcome.variant_of == variant_of


def test_a_column_that_wakes_in_a_batch_is_taken_by_the_next_in_it() -> None:
    cortex = Cortex(CortexSettings(refractory=10))
    do(cortex, put(1, BASE), put(2, LIKE), Delete(identifier(1)))  # operation 3: column 0 rests until 11
    batch: list[Operation] = [Delete(identifier(2))]  # operation 4: column 1 until 12
    batch += [put(10 + number, f"only{number}") for number in range(20)]
    assert [outcome.column for outcome in do(cortex, *batch)] == [1, *range(2, 9), 0, 1, *range(9, 20)]


def test_threshold_and_winners_change_what_is_decided() -> None:
    operations = near_duplicates(24)

    def outcomes(radius: float, winners: int, threshold: float) -> list[Outcome]:
        cortex = with_others(CortexSettings(1.0, join_threshold=1.0, refractory=0))
        cortex.settings = CortexSettings(radius, winners, threshold)
        return cortex.compete(operations)[0]

    def joined(threshold: float) -> int:
        return sum(outcome.kind == "joined" for outcome in outcomes(0.5, 5, threshold))

    def linked(radius: float) -> int:
        return sum(outcome.variant_of >= 0 for outcome in outcomes(radius, 5, 1.0))

    def most(radius: float, winners: int) -> int:
        cortex = with_others(CortexSettings(1.0, join_threshold=1.0, refractory=0))
        do(cortex, *operations)
        cortex.settings = CortexSettings(radius, winners, 0.5)
        return max(len(outcome.winners) for outcome in cortex.compete([put(900, BASE), put(901, LIKE)])[0])

    assert joined(0.5) > joined(0.8) > joined(1.0)
    assert linked(0.5) > linked(0.8) > linked(0.0) == 0
    assert most(0.0, 5) == 5
    assert most(0.0, 2) == 2
    assert most(0.5, 5) == 1


@given(streams())
@settings(max_examples=40, deadline=None)
def test_a_batch_gives_what_one_by_one_gives(operations: list[Operation]) -> None:
    for configuration in (QUICK, CortexSettings(radius=0.3, join_threshold=0.5, refractory=0)):
        alone, expected = one_by_one(operations, configuration)
        batch = Cortex(configuration)
        outcomes = do(batch, *operations)
        assert [plain(outcome) for outcome in outcomes] == [plain(outcome) for outcome in expected]
        assert arrays_of(batch) == arrays_of(alone)
        assert batch.digest() == alone.digest()


@given(streams(20), streams(20), streams(20))
@settings(max_examples=20, deadline=None)
def test_what_is_rolled_back_was_never_there(
    first: list[Operation], refused: list[Operation], second: list[Operation]
) -> None:
    expected = Cortex(QUICK)
    outcomes, decisions = expected.compete([*first, *second])
    cortex = Cortex(QUICK)
    competition = Competition(cortex)
    seen = [competition.add(operation) for operation in first]
    mark = competition.mark()
    for operation in refused:
        competition.add(operation)
    competition.rollback(mark)
    seen += [competition.add(operation) for operation in second]
    assert [plain(outcome) for outcome in seen] == [plain(outcome) for outcome in outcomes]
    assert competition.decisions().to_bytes() == decisions.to_bytes()


@pytest.mark.parametrize(
    "operation",
    [
        Put(b"short", ENCODER.encode("x").bits, 1),
        Put(identifier(1), np.zeros(0, dtype=np.uint16), 0),
        Put(identifier(1), np.arange(41, dtype=np.uint16), 41),
        Put(identifier(1), np.array([3, 3], dtype=np.uint16), 2),
        Put(identifier(1), np.array([3, 65535], dtype=np.uint16), 1),
        Put(identifier(1), np.array([3, 4], dtype=np.int64), 2),
        Put(identifier(1), np.array([3, 4], dtype=np.uint16), 1),
        Delete(b""),
        Relate(identifier(1), identifier(2), "", 1.0),
        Relate(identifier(1), identifier(2), "t" * 300, 1.0),
        Relate(identifier(1), b"x", "t", 1.0),
        Relate(identifier(1), identifier(2), "t", 0.0),
        Relate(identifier(1), identifier(2), "t", -1.0),
        Relate(identifier(1), identifier(2), "t", float("inf")),
        Put(identifier(1), np.array([[3]], dtype=np.uint16), 1),
        Put(identifier(1), np.array([3], dtype=np.uint16), 1, (1 << 64,)),
        Put(identifier(1), np.array([3], dtype=np.uint16), 1, (-1,)),
        Put(identifier(1), np.array([3], dtype=np.uint16), 1, (5, 5)),
        Put(identifier(1), np.array([3], dtype=np.uint16), 1, (), 65_536),
        Relate(identifier(1), identifier(2), "t", 1e-60),
        Relate(identifier(1), identifier(2), "t", float("nan")),
        Relate(identifier(1), identifier(2), "t", 1.5),
        Relate(identifier(1), identifier(2), "t", "0.5"),  # type: ignore[arg-type]
        Relate(identifier(1), identifier(2), None, 0.5),  # type: ignore[arg-type]
        Put("x" * 16, np.array([3], dtype=np.uint16), 1),  # type: ignore[arg-type]
        Put(None, np.array([3], dtype=np.uint16), 1),  # type: ignore[arg-type]
        Put(identifier(1), [3], 1),  # type: ignore[arg-type]
        Put(identifier(1), np.array([3], dtype=np.uint16), 1.0),  # type: ignore[arg-type]
        Put(identifier(1), np.array([3], dtype=np.uint16), 1, (), 3.5),  # type: ignore[arg-type]
        "an operation",
    ],
)
def test_malformed_operations_are_refused_and_leave_no_trace(operation: Operation) -> None:
    cortex = Cortex()
    competition = Competition(cortex)
    competition.add(put(1, BASE))
    before, known = competition.decisions().to_bytes(), everything_of(cortex)
    with pytest.raises(InvalidOperationError) as alone:
        competition.add(operation)
    for place in (0, 3, 20):
        batch: list[Operation] = [put(10 + number, text) for number, text in enumerate(texts(20))]
        batch.insert(place, operation)
        with pytest.raises(InvalidOperationError) as within:
            competition.add_many(batch)
        assert str(within.value) == str(alone.value)
    assert (competition.decisions().to_bytes(), everything_of(cortex)) == (before, known)


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (Delete(b"short"), b"short".hex()),
        (Put(identifier(1), np.array([7, 3], dtype=np.uint16), 2), r"\[7, 3\]"),
        (Put(identifier(1), np.array([3], dtype=np.uint16), 1, (9, 4)), "4 does not follow 9"),
        (Put(identifier(1), np.array([3], dtype=np.uint16), 1, (), -2), "-2"),
        (Relate(identifier(1), identifier(2), "t" * 300, 1.0), "tttt"),
        (Relate(identifier(1), identifier(2), "t", float("nan")), "nan"),
        (Relate(identifier(1), identifier(2), "t", -0.5), "-0.5"),
    ],
)
def test_what_is_refused_is_named(operation: Operation, named: str) -> None:
    with pytest.raises(InvalidOperationError, match=named):
        Cortex().compete([operation])


@given(st.lists(st.lists(st.integers(0, 65_535), max_size=42), max_size=6), st.integers(-1, 1))
@settings(max_examples=60, deadline=None)
def test_puts_are_well_formed_together_as_by_themselves(rows: list[list[int]], wrong: int) -> None:
    puts = [
        Put(
            identifier(number),
            np.array(sorted(set(row)), dtype=np.uint16),
            sum(bit < 49_152 for bit in {*row}),
        )
        for number, row in enumerate(rows)
    ]
    puts.append(Put(identifier(0), np.array([1, 2], dtype=np.uint16), 2 + wrong))

    def good(one: Put) -> bool:
        try:
            check(one)
        except InvalidOperationError:
            return False
        return True

    expected = list(itertools.takewhile(good, puts))
    bits, words = well_formed(puts)
    assert words.tolist() == [each.words for each in expected]
    assert [row[row != 65_535].tolist() for row in bits] == [each.bits.tolist() for each in expected]


def test_a_cortex_knows_so_many_types_of_relationships(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (model, overlay):
        monkeypatch.setattr(module, "MAX_TYPES", 5)  # two of them are the engine's own
    cortex = Cortex()
    do(cortex, put(1, BASE), put(2, "other"))
    do(cortex, Relate(identifier(1), identifier(2), "first", 0.5))
    known = [Relate(identifier(1), identifier(2), name, 0.5) for name in ("second", "third", "first")]
    before = everything_of(cortex)
    with pytest.raises(TooManyTypesError, match="at most 5 types of relationships, and 'fourth'"):
        cortex.compete([*known, Relate(identifier(2), identifier(1), "fourth", 0.5)])
    assert everything_of(cortex) == before
    do(cortex, *known)
    with pytest.raises(TooManyTypesError, match="'fourth'"):
        cortex.compete([Relate(identifier(2), identifier(1), "fourth", 0.5)])


def test_types_that_cannot_be_numbered_do_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    cortex, replica = Cortex(), Cortex()
    for each in (cortex, replica):
        do(each, put(1, BASE), put(2, "other"))
    monkeypatch.setattr(following, "MOST_TYPES", 3)
    edges = [Relate(identifier(1), identifier(2), name, 0.5) for name in ("first", "second")]
    _, decisions = cortex.compete(edges)
    before = everything_of(replica)
    with pytest.raises(NotFollowingError, match="more than 3 types"):
        replica.apply(decisions)
    assert everything_of(replica) == before


REFUSED: list[tuple[type[InvalidOperationError], Operation]] = [
    (CapacityError, put(900, "nowhere to go")),
    (CapacityError, put(0, "nowhere to go either")),  # leaves its column first
    (QuotaError, put(901, BASE)),  # would join
    (UnknownConceptError, Relate(identifier(1), identifier(902), "t", 1.0)),
    (DimensionError, put(1, BASE, dimension=3)),
    (InvalidOperationError, Relate(identifier(1), identifier(2), "t", float("nan"))),
]


@pytest.mark.parametrize(("error", "refused"), REFUSED)
@given(streams(15), streams(15))
@settings(max_examples=8, deadline=None)
def test_a_refused_operation_was_never_there(
    error: type[InvalidOperationError],
    refused: Operation,
    first: list[Operation],
    second: list[Operation],
) -> None:
    quota = 12 if error is QuotaError else None
    capacity = 12 if error is CapacityError else 1000
    world = [
        put(number, f"own{number} {BASE if number == 5 else number}", dimension=4) for number in range(12)
    ]
    configuration = CortexSettings(refractory=1000, quota=quota)
    cortex, untried = Cortex(configuration), Cortex(configuration)
    for each in (cortex, untried):
        do(each, *world)
        each.settings = CortexSettings(refractory=1000, quota=quota, capacity=capacity)
    first = [each for each in first if not isinstance(each, Delete | Put)]
    second = [each for each in second if not isinstance(each, Put)]
    known = everything_of(cortex)
    tried, other = Competition(cortex), Competition(untried)
    outcomes, expected = tried.add_many(first), other.add_many(first)
    for batch in ([refused], [*second, put(3, f"own3 {3}", dimension=4), refused]):
        if any(isinstance(each, Delete) for each in batch):
            continue  # might make room
        with pytest.raises(error):
            tried.add_many(batch)
    with pytest.raises(error):
        tried.add(refused)
    outcomes, expected = outcomes + tried.add_many(second), expected + other.add_many(second)
    assert [plain(outcome) for outcome in outcomes] == [plain(outcome) for outcome in expected]
    assert tried.decisions().to_bytes() == other.decisions().to_bytes()
    assert everything_of(cortex) == known


def test_a_quota_bounds_concepts_also_those_that_join() -> None:
    cortex = Cortex(CortexSettings(quota=3))
    do(cortex, put(1, BASE), put(2, BASE), put(3, "something else"))
    assert (cortex.columns, cortex.concept_count) == (2, 3)
    for operation in (put(4, BASE), put(5, "new")):
        with pytest.raises(QuotaError, match=f"{operation.id.hex()}.* 3 ") as refused:
            cortex.compete([operation])
        assert (refused.value.quota, refused.value.identifier) == (3, operation.id)
    kinds = [outcome.kind for outcome in do(cortex, put(2, LIKE), put(1, BASE))]
    assert kinds == ["allocated", "updated"]
    freed = do(cortex, Delete(identifier(3)), put(4, BASE))
    assert [outcome.kind for outcome in freed] == ["deleted", "joined"]


@pytest.mark.parametrize(("quota", "place"), [(0, 0), (1, 1), (10, 10), (20, 20), (21, None), (None, None)])
def test_a_batch_is_refused_from_the_first_concept_over_the_quota(
    quota: int | None, place: int | None
) -> None:
    batch: list[Operation] = [put(number, text) for number, text in enumerate(texts(20))]
    batch += [put(3, "the same again"), put(20, BASE)]
    cortex = Cortex(CortexSettings(quota=quota))
    if place is None:
        assert len(cortex.compete(batch)[0]) == len(batch)
        return
    with pytest.raises(QuotaError) as refused:
        cortex.compete(batch)
    assert refused.value.identifier == identifier(place)


def test_a_batch_is_refused_when_columns_run_out_in_it() -> None:
    batch: list[Operation] = [put(number, f"only{number} word{number}") for number in range(20)]
    cortex = Cortex(CortexSettings(capacity=12))
    competition = Competition(cortex)
    with pytest.raises(CapacityError):
        competition.add_many(batch)
    outcomes = competition.add_many([*batch[:12], put(50, "only3 word3"), *batch[:6]])
    assert [outcome.column for outcome in outcomes] == [*range(12), 3, *range(6)]
    with pytest.raises(CapacityError):
        competition.add(batch[12])


def test_of_duplicate_ids_in_a_batch_the_later_wins() -> None:
    batch = [put(number % 3, f"{text} unlike{number}") for number, text in enumerate(texts(12))]
    cortex = Cortex(CortexSettings(refractory=0))
    do(cortex, *batch)
    assert (cortex.concept_count, cortex.columns) == (3, 3)
    for last in batch[-3:]:
        column = cortex.column_of(last.id)
        assert column is not None
        assert cortex.arrays.bits[column, : last.bits.size].tolist() == last.bits.tolist()


def test_a_batch_of_vectors_keeps_to_one_dimension() -> None:
    batch = [put(number, text, dimension=8) for number, text in enumerate(texts(10))]
    cortex = Cortex()
    assert len(do(cortex, *batch)) == 10
    assert cortex.properties.dimension == 8
    odd = put(30, "one more", dimension=9)
    with pytest.raises(DimensionError, match=r"9 numbers.* 8"):
        cortex.compete([*(put(20 + number, text, dimension=8) for number, text in enumerate(texts(9))), odd])


@given(
    st.lists(st.tuples(st.sampled_from(["take", "release", "ahead"]), st.integers(0, 30)), max_size=40),
    st.integers(0, 4),
)
@settings(max_examples=100, deadline=None)
def test_columns_ahead_are_those_that_are_taken(steps: list[tuple[str, int]], refractory: int) -> None:
    view, operation, taken = FreeView(FreeColumns()), 0, []
    for step, number in steps:
        operation += 1
        if step == "take":
            taken.append(view.take(operation))
        elif step == "release" and taken:
            view.release(taken.pop(number % len(taken)), operation - 1 + number % 3 * refractory, operation)
        elif step == "ahead":
            columns, count = view.ahead(operation, number + 1)
            assert 1 <= count <= number + 1 == len(columns)
            got = [view.take(each) for each in range(operation, operation + count)]
            assert got == columns[:count]
            taken += got
            operation += count - 1


def test_the_compiled_competition_is_kept_only_with_the_search_that_is_in_it(kernels: Kernels) -> None:
    if kernels.name != "numba":
        pytest.skip("nothing is compiled")
    package = "cortex_runtime.columns.kernels"
    search = import_module(f"{package}.numba_search").__file__
    kernel = import_module(f"{package}.numba_competition")._compete.py_func
    assert search is not None
    # numba's key for what it keeps on disk has what a function encloses.
    assert zlib.crc32(Path(search).read_bytes()) in [cell.cell_contents for cell in kernel.__closure__]


def test_a_competition_ends_when_its_cortex_changes() -> None:
    cortex = Cortex()
    competition = Competition(cortex)
    do(cortex, put(1, BASE))
    with pytest.raises(RuntimeError, match="changed"):
        competition.add(put(2, LIKE))


@pytest.mark.parametrize(
    "bad",
    [
        {"radius": 1.5}, {"join_threshold": 0.0}, {"winners": 0}, {"refractory": -1}, {"quota": -1},
        {"winners": 2.5}, {"budget": float("nan")}, {"refractory": 1 << 63},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"share|at least|whole number from"):
        CortexSettings(**bad)  # type: ignore[arg-type]
