"""Replicas repeat decisions: in any portions, from bytes, or from what was stored."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    INHERITS,
    ConceptRecord,
    Cortex,
    CortexSettings,
    Decisions,
    Delete,
    MalformedDecisionsError,
    NotFollowingError,
    Operation,
    Put,
    Relate,
    RelationshipRecord,
)
from cortex_runtime.columns.decisions import Kind
from cortex_runtime.columns.digest import _order
from cortex_runtime.columns.kernels import Kernels, chosen
from unit.columns.recording import Recording
from unit.columns.worlds import (
    QUICK,
    Stored,
    arrays_of,
    copied,
    everything_of,
    filled,
    identifier,
    inherit,
    plain,
    put,
    streams,
    texts,
)

MANY = [put(number % 300, text) for number, text in enumerate(texts(500, seed=7))]


def portions(operations: list[Operation], cuts: list[int]) -> list[list[Operation]]:
    places = sorted({0, len(operations), *(cut % (len(operations) + 1) for cut in cuts)})
    return [operations[start:end] for start, end in pairwise(places)]


@cache
def recorded(count: int) -> tuple[Recording, tuple[str, bytes]]:
    """A recording, and what a replica has that applied it in batches of 500 with numpy."""
    recording = Recording(count)
    reference = hash_of(recording, 500, chosen("numpy"))
    assert reference[1] == recording.digest
    return recording, reference


RANDOM = 0
# Each size with one of them on the short stream; the long one takes minutes.
SHORT = {"numba": (1, 1000, RANDOM), "numpy": (7, 256, 100_000)}
LONG = {"numba": (100_000, RANDOM), "numpy": (30_000, 1000)}


def hash_of(recording: Recording, size: int, kernels: Kernels) -> tuple[str, bytes]:
    replica, chance = Cortex(kernels=kernels), random.Random(3)
    for decisions in recording.batches(iter(lambda: size or int(10 ** chance.uniform(0, 3.5)), None)):
        replica.apply(decisions)
    return blake2b(b"".join(arrays_of(replica))).hexdigest(), replica.digest()


@pytest.mark.slow
def test_a_recorded_stream_gives_the_same_arrays_in_any_batches(kernels: Kernels) -> None:
    recording, expected = recorded(10_000)
    for size in SHORT[kernels.name]:
        assert hash_of(recording, size, kernels) == expected, size


@pytest.mark.exhaustive
def test_a_long_recorded_stream_gives_the_same_arrays_in_any_batches(kernels: Kernels) -> None:
    operations, size = LONG[kernels.name]
    recording, expected = recorded(operations)
    assert hash_of(recording, size, kernels) == expected


def test_a_recorded_stream_has_everything_in_it() -> None:
    whole = recorded(10_000)[0].whole
    assert (np.bincount(whole.kinds, minlength=4) > 700).all()
    assert (np.bincount(whole.edge_kinds, minlength=6)[4:] > 20).all()
    assert whole.trait_steps.size > 1000
    assert {*range(2, 10), 40} <= set(whole.sizes.tolist())


@given(streams(60), st.lists(st.integers(0, 100), max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_portions_give_the_same_bytes(operations: list[Operation], cuts: list[int]) -> None:
    whole, parts = Cortex(QUICK), Cortex(QUICK)
    whole.apply(copied(whole.compete(operations)[1]))
    for portion in portions(operations, cuts):
        parts.apply(copied(parts.compete(portion)[1]))
    assert arrays_of(parts) == arrays_of(whole)
    assert parts.digest() == whole.digest()


@given(streams(60), st.lists(st.integers(0, 100), max_size=4), streams(20))
@settings(max_examples=40, deadline=None)
def test_what_was_stored_restores_the_state(
    operations: list[Operation], cuts: list[int], later: list[Operation]
) -> None:
    live, stored = Cortex(QUICK), Stored()
    for portion in portions(operations, cuts):
        outcomes, decisions = live.compete(portion)
        live.apply(decisions)
        stored.store(portion, outcomes)
    restored = stored.restore(QUICK, live.operations)
    assert restored.digest() == live.digest()
    assert restored.pending_count == live.pending_count
    for column in np.flatnonzero(live.arrays.concepts).tolist():
        assert restored.ids_of(column) == live.ids_of(column)

    # The restored one follows what the other decides, and the other what it decides.
    for owner, follower in ((live, restored), (restored, live)):
        outcomes, decisions = owner.compete(later)
        owner.apply(decisions)
        follower.apply(copied(decisions))
        stored.store(later, outcomes)
        assert follower.digest() == owner.digest()
    assert stored.restore(QUICK, live.operations).digest() == live.digest()


def test_a_restored_cortex_answers_as_the_live_one() -> None:
    live, stored = Cortex(), Stored()
    outcomes, decisions = live.compete(MANY)
    live.apply(decisions)
    stored.store(MANY, outcomes)
    restored = stored.restore(CortexSettings(), live.operations)
    for operation in MANY[:50]:
        assert isinstance(operation, Put)
        assert live.query(operation, 10) == restored.query(operation, 10)  # type: ignore[arg-type]
    more = [put(1000 + number, text) for number, text in enumerate(texts(100, seed=8))]
    assert [o.kind for o in live.compete(more)[0]] == [o.kind for o in restored.compete(more)[0]]


def test_a_restored_cortex_has_the_same_columns() -> None:
    live, stored = Cortex(QUICK), Stored()
    operations = [*MANY[:40], put(1000, "a b c"), put(1001, "x y z"), put(1002, "a b c")]
    outcomes, decisions = live.compete(operations)
    live.apply(decisions)
    stored.store(operations, outcomes)
    assert outcomes[-1].kind == "joined"
    restored = stored.restore(QUICK, live.operations)
    used = np.flatnonzero(live.arrays.concepts)
    for name in ("states", "bits", "words", "concepts", "variant_of", "last_operation"):
        assert np.array_equal(getattr(restored.arrays, name)[used], getattr(live.arrays, name)[used]), name


def test_after_a_restore_rest_is_longer_never_shorter() -> None:
    live, stored = Cortex(QUICK), Stored()
    for operation in (put(1, "one"), put(2, "two"), Delete(identifier(1))):
        outcomes, decisions = live.compete([operation])
        live.apply(decisions)
        stored.store([operation], outcomes)
    restored = stored.restore(QUICK, live.operations)
    assert restored.digest() == live.digest()
    assert restored.free.rests_until(0) == 6
    follow = [put(3 + number, f"text{number}") for number in range(4)]
    assert [o.column for o in restored.compete(follow)[0]] == [2, 3, 4, 0]
    outcomes, decisions = live.compete(follow)
    assert [o.column for o in outcomes] == [2, 0, 3, 4]
    restored.apply(decisions)
    live.apply(decisions)
    assert restored.digest() == live.digest()


@pytest.mark.parametrize(
    ("concepts", "edges", "complaint"),
    [
        ([(1, 0, [5], 1), (1, 1, [6], 2)], [], "twice"),
        ([(1, 0, [5], 1), (2, 0, [6], 2)], [], "different bits"),
        ([(1, -1, [5], 1)], [], "negative"),
        ([(1, 0, [5], 99)], [], "operation 99"),
        ([(1, 0, [], 1)], [], "1 to 40"),
        ([], [(1, 2)], "no concept"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    concepts: list[tuple[int, int, list[int], int]], edges: list[tuple[int, int]], complaint: str
) -> None:
    records = [
        ConceptRecord(identifier(number), column, np.array(bits, dtype=np.uint16), len(bits), operation, -1)
        for number, column, bits, operation in concepts
    ]
    rows = [RelationshipRecord(identifier(source), identifier(target), "a", 1.0) for source, target in edges]
    with pytest.raises(ValueError, match=complaint):
        Cortex.restore(None, 10, records, rows)


@pytest.mark.parametrize(
    ("tags", "dimensions", "parents", "complaint"),
    [
        ((3, 2), (0, 0, 0), [], "ascend"),
        ((), (3, 4, 0), [], "vectors have 4 and 3"),
        ((), (0, 0, 0), [(0, 1), (0, 2)], "two parents"),
        ((), (0, 0, 0), [(0, 1), (1, 0)], "inherits from itself"),
        ((), (0, 0, 0), [(2, 2)], "inherits from itself"),
    ],
)
def test_traits_and_parents_that_cannot_be_are_refused(
    tags: tuple[int, ...], dimensions: tuple[int, ...], parents: list[tuple[int, int]], complaint: str
) -> None:
    records = [
        ConceptRecord(
            identifier(number),
            number,
            np.array([number], dtype=np.uint16),
            1,
            1 + number,
            -1,
            tags,
            dimension,
        )
        for number, dimension in enumerate(dimensions)
    ]
    rows = [
        RelationshipRecord(identifier(child), identifier(parent), INHERITS, 1.0) for child, parent in parents
    ]
    with pytest.raises(ValueError, match=complaint):
        Cortex.restore(None, 10, records, rows)


BEFORE = Cortex().compete([put(number, text) for number, text in enumerate(texts(40))])[1]


def decided() -> tuple[Cortex, Decisions]:
    cortex = Cortex()
    cortex.apply(BEFORE)
    operations: list[Operation] = [put(number % 60, text) for number, text in enumerate(texts(30, seed=9))]
    operations += [Relate(identifier(1), identifier(2), "é", 0.3), Delete(identifier(3))]
    operations += [put(61, "some tags", (1, 5, 1 << 63), 384), put(62, "others", (5,)), inherit(61, 62)]
    return cortex, cortex.compete(operations)[1]


DECISIONS = decided()[1]


def test_decisions_survive_their_bytes() -> None:
    _, decisions = decided()
    again = copied(decisions)
    assert again.to_bytes() == decisions.to_bytes()
    for name in Decisions.__slots__:
        assert np.array_equal(getattr(again, name), getattr(decisions, name))


def test_a_decision_is_compact() -> None:
    cortex = Cortex()
    _, decisions = cortex.compete([put(number, text) for number, text in enumerate(texts(256, length=20))])
    assert len(decisions.to_bytes()) / 256 < 40 + 2 * 40


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_malformed_bytes_are_refused_or_cannot_be_applied_by_halves(data: st.DataObject) -> None:
    cortex, decisions = Cortex(), DECISIONS
    cortex.apply(BEFORE)
    raw = bytearray(decisions.to_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
        with pytest.raises(MalformedDecisionsError):
            Decisions.from_bytes(bytes(raw))
        return
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=3)):
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
    before = arrays_of(cortex), cortex.digest()
    try:
        changed = Decisions.from_bytes(bytes(raw))
    except MalformedDecisionsError:
        return
    try:
        cortex.apply(changed)
    except NotFollowingError:
        assert (arrays_of(cortex), cortex.digest()) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kinds", 4), ("kinds", 3), ("edge_kinds", 0), ("steps", 0), ("steps", 10_000), ("columns", -1),
        ("variant_of", -2), ("sizes", 0), ("sizes", 41), ("words", 39), ("bits", 65_535), ("weights", 0.0),
        ("weights", float("nan")), ("trait_steps", 0), ("trait_steps", 34), ("trait_steps", 10_000),
        ("trait_sizes", 4), ("trait_sizes", 1025), ("tags", 5), ("tags", 6),
        ("edge_types", 9), ("before", -1), ("operations", 3),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(name: str, value: float) -> None:
    field, changed = getattr(DECISIONS, name), cast(Any, value)
    if isinstance(field, np.ndarray):
        takes = np.flatnonzero(DECISIONS.kinds == Kind.TAKE)
        changed = field.copy()
        changed[takes[0] if field.shape == DECISIONS.kinds.shape else 0] = value
    raw = replace(DECISIONS, **{name: changed}).to_bytes()
    with pytest.raises(MalformedDecisionsError, match="impossible"):
        Decisions.from_bytes(raw)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(MalformedDecisionsError, match="follow"):
        Decisions.from_bytes(DECISIONS.to_bytes() + b"\0")


def test_decisions_of_another_state_are_refused_and_nothing_changes() -> None:
    cortex, decisions = decided()
    cortex.apply(decisions)
    before = arrays_of(cortex), cortex.digest()
    with pytest.raises(NotFollowingError, match="operation 40"):
        cortex.apply(decisions)
    _, others = filled(30).compete([put(number, "other") for number in range(12)])
    foreign = Decisions.from_bytes(
        others.to_bytes().replace((30).to_bytes(8, "little"), cortex.operations.to_bytes(8, "little"), 1)
    )
    assert foreign.before == cortex.operations
    with pytest.raises(NotFollowingError, match="not possible"):
        cortex.apply(foreign)
    assert (arrays_of(cortex), cortex.digest()) == before


def test_outcomes_of_the_same_stream_are_the_same_on_another_replica() -> None:
    first, second = filled(200), filled(200)
    operations = [put(number, text) for number, text in enumerate(texts(200, seed=11))]
    left, right = first.compete(operations), second.compete(operations)
    assert [plain(o) for o in left[0]] == [plain(o) for o in right[0]]
    assert left[1].to_bytes() == right[1].to_bytes()


def test_traits_of_a_concept_that_is_not_there_are_refused_and_nothing_changes() -> None:
    cortex = filled(5)
    _, decisions = cortex.compete([Delete(identifier(4)), put(7, "tagged", (1, 2)), put(0, "a", (3,))])
    before = everything_of(cortex)
    for place, number in ((0, 99), (1, 4)):
        ids = decisions.trait_ids.copy()
        ids[place] = list(identifier(number))
        with pytest.raises(NotFollowingError, match="not there"):
            cortex.apply(copied(replace(decisions, trait_ids=ids)))
        assert everything_of(cortex) == before
    cortex.apply(decisions)
    assert cortex.traits_of(identifier(7)) == ((1, 2), 0)


def test_the_digest_covers_tags_and_dimensions() -> None:
    variants = [
        put(1, "a", (), 0), put(1, "a", (1,), 0), put(1, "a", (2,), 0), put(1, "a", (1, 2), 0),
        put(1, "a", (), 7), put(1, "a", (), 8),
    ]  # fmt: skip
    pairs = [(put(0, "first", (1,)), variant) for variant in variants]
    pairs += [(put(0, "first", (1, 2)), variants[0]), (put(0, "first"), variants[3])]
    digests = set()
    for pair in pairs:
        cortex = Cortex()
        cortex.apply(cortex.compete(pair)[1])
        digests.add(cortex.digest())
    assert len(digests) == len(pairs)


@pytest.mark.parametrize("field", ["bits", "words", "columns", "variant_of", "operations"])
def test_the_digest_covers_the_columns_and_concepts(field: str) -> None:
    cortex = filled(10)
    before = cortex.digest()
    cortex._digest = None
    changed = cortex.concepts.operations if field == "operations" else getattr(cortex.arrays, field, None)
    if changed is None:
        changed = cortex.concepts.columns
        changed[:2] = changed[1::-1].copy()
    elif field == "bits":
        changed[4, 0] ^= 1
    else:
        changed[4] += 1
    assert cortex.digest() != before


@pytest.mark.parametrize("distinct_halves", [True, False])
def test_the_digest_orders_ids_as_bytes(distinct_halves: bool) -> None:
    ids = np.random.default_rng(5).integers(0, 256, (300, 16), dtype=np.uint8)
    if not distinct_halves:
        ids[::3, :8] = ids[0, :8]
    assert [ids[place].tobytes() for place in _order(ids)] == sorted(each.tobytes() for each in ids)
