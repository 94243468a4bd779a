from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from cortex_runtime.columns import (
    Competition,
    Cortex,
    CortexSettings,
    Delete,
    InvalidOperationError,
    Operation,
    Outcome,
    Put,
    Relate,
    State,
    Unrelate,
)
from unit.columns.worlds import (
    ENCODER,
    QUICK,
    arrays_of,
    identifier,
    one_by_one,
    plain,
    put,
    streams,
    texts,
)

BASE = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
LIKE = "alpha beta gamma delta epsilon zeta eta theta other words"


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


def test_256_near_duplicates_of_each_other_in_one_batch() -> None:
    near = [put(number, f"{BASE} extra{number % 16} more{number % 5}") for number in range(256)]
    configuration = CortexSettings(join_threshold=0.8)
    alone, expected = one_by_one(near, configuration)
    batch = Cortex(configuration)
    outcomes = do(batch, *near)
    assert [plain(outcome) for outcome in outcomes] == [plain(outcome) for outcome in expected]
    assert batch.digest() == alone.digest()
    assert {outcome.kind for outcome in outcomes} == {"allocated", "joined"}
    assert any(len(outcome.winners) > 1 for outcome in outcomes) or any(
        outcome.variant_of >= 0 for outcome in outcomes
    )


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
        Relate(identifier(1), identifier(2), "t", 1e-60),
        Relate(identifier(1), identifier(2), "t", float("nan")),
        Relate(identifier(1), identifier(2), "t", 1.5),
    ],
)
def test_malformed_operations_are_refused_and_leave_no_trace(operation: Operation) -> None:
    competition = Competition(Cortex())
    competition.add(put(1, BASE))
    before = competition.decisions().to_bytes()
    with pytest.raises(InvalidOperationError):
        competition.add(operation)
    assert competition.decisions().to_bytes() == before


def test_a_competition_ends_when_its_cortex_changes() -> None:
    cortex = Cortex()
    competition = Competition(cortex)
    do(cortex, put(1, BASE))
    with pytest.raises(RuntimeError, match="changed"):
        competition.add(put(2, LIKE))


@pytest.mark.parametrize(
    "bad", [{"radius": 1.5}, {"join_threshold": 0.0}, {"winners": 0}, {"refractory": -1}]
)
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"share|at least"):
        CortexSettings(**bad)  # type: ignore[arg-type]
