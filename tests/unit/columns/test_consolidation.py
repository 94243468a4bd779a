from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns import (
    NEAR_DUPLICATE,
    Competition,
    Cortex,
    CortexSettings,
    Decisions,
    Delete,
    Operation,
    QueryResult,
    Relate,
    consolidation,
    merging,
    postings,
    relationships,
)
from cortex_runtime.columns.arrays import HALF_LIFE
from cortex_runtime.columns.encoding import PAD
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.search import weights_of
from unit.columns.worlds import ENCODER, QUICK, WORDS, arrays_of, identifier, put, streams, tag, texts


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few columns and relationships are work for every task."""
    monkeypatch.setattr(relationships, "_SMALLEST_MERGE", 4)
    monkeypatch.setattr(merging, "_EDGES", 3)
    monkeypatch.setattr(merging, "_ROWS", 5)
    monkeypatch.setattr(merging, "_BYTES", 64)
    monkeypatch.setattr(postings, "SMALLEST_BITMAP", 4)
    monkeypatch.setattr(consolidation, "_SWEEP", 30)
    monkeypatch.setattr(consolidation, "_COLUMNS", 100)


def do(cortex: Cortex, *operations: Operation) -> None:
    cortex.apply(cortex.compete(operations)[1])


def items(cortex: Cortex) -> Iterator[int]:
    """Do an item at a time until there is none; yield how many wait then."""
    while cortex.consolidation.step(0):
        yield cortex.consolidation.backlog()


def answers(cortex: Cortex) -> list[QueryResult]:
    return [
        cortex.query(ENCODER.encode(text), 6, hops=hops, where=where, exact=exact, budget=budget)
        for text in (WORDS[0], "the of person", " ".join(WORDS[1:9]))
        for hops in (0, 2)
        for where in ((), ((tag(1, 0), tag(1, 1)),))
        for exact, budget in ((True, 1000), (False, 1))
    ]


@settings(max_examples=12, deadline=None)
@given(before=streams(60), after=streams(20), chance=st.randoms(use_true_random=False))
def test_every_answer_is_the_same_before_during_and_after(
    before: list[Operation], after: list[Operation], chance: random.Random, kernels: Kernels
) -> None:
    cortex = Cortex(QUICK, kernels)
    cortex.consolidation.proposing = True
    for operations in (before, after):
        for start in range(0, len(operations), 10):
            do(cortex, *operations[start : start + 10])
            expected, digest = answers(cortex), cortex.digest()
            for _ in range(chance.choice([0, 5, 1000])):
                if not cortex.consolidation.step(0):
                    break
                if chance.random() < 0.1:
                    assert answers(cortex) == expected
            assert answers(cortex) == expected
            cortex._digest = None
            assert cortex.digest() == digest


@settings(max_examples=10, deadline=None)
@given(before=streams(60), after=streams(20))
def test_a_competition_decides_the_same_when_a_cortex_is_consolidated_meanwhile(
    before: list[Operation], after: list[Operation], kernels: Kernels
) -> None:
    cortices = Cortex(QUICK, kernels), Cortex(QUICK, kernels)
    for cortex in cortices:
        do(cortex, *before)
    competitions = [Competition(cortex) for cortex in cortices]
    for operation in after:
        for competition in competitions:
            competition.add(operation)
        cortices[0].consolidation.step(0)
    decisions = [competition.decisions().to_bytes() for competition in competitions]
    assert decisions[0] == decisions[1]
    for cortex in cortices:
        cortex.apply(Decisions.from_bytes(decisions[0]))
    assert cortices[0].digest() == cortices[1].digest()


def families(chance: random.Random, kernels: Kernels, count: int = 44) -> Cortex:
    """A cortex of texts that share most of their words with some others."""
    cortex = Cortex(CortexSettings(radius=0.4, refractory=5), kernels)
    cortex.consolidation.proposing = True
    do(cortex, *(put(1000 + number, text) for number, text in enumerate(texts(80, seed=3))))
    for number in range(count):
        words = [f"family{number % 4}word{place}" for place in range(8)]
        words[chance.randrange(8)] = f"own{number}x"
        do(cortex, put(number, " ".join(words)))
    return cortex


def similarity(cortex: Cortex, one: int, other: int) -> float:
    bits = [set(cortex.arrays.bits[column].tolist()) - {PAD} for column in (one, other)]
    both, either = (np.array(sorted(part)) for part in (bits[0] & bits[1], bits[0] | bits[1]))
    weights = [
        int(weights_of(part, cortex.postings.counts[part], cortex.columns).sum()) if part.size else 0
        for part in (both, either)
    ]
    return weights[0] / max(1, weights[1])


def proposed(cortex: Cortex) -> list[Relate]:
    list(items(cortex))
    return cortex.consolidation.proposals(10_000)


@pytest.mark.parametrize("seed", range(2))
def test_near_duplicates_are_proposed_once_from_the_later_to_the_earlier(seed: int, kernels: Kernels) -> None:
    cortex = families(random.Random(seed), kernels)
    taken: dict[int, int] = {}  # the concept that came first to each column, in the order in which they came
    for number in (*range(1000, 1080), *range(44)):
        taken.setdefault(cortex.column_of(identifier(number)) or 0, number)
    order = list(taken)
    expected = {
        (identifier(taken[column]), identifier(taken[earlier])): alike
        for place, column in enumerate(order)
        for earlier in order[:place]
        if cortex.arrays.variant_of[column] != earlier and cortex.rests_until(column) <= cortex.operations
        and (alike := similarity(cortex, column, earlier)) >= 0.4
    }  # fmt: skip
    relates = proposed(cortex)
    found = {(relate.source, relate.target): relate.weight for relate in relates}
    assert len(found) == len(relates) > 20
    assert {relate.type for relate in relates} == {NEAR_DUPLICATE}
    assert found == {pair: pytest.approx(expected[pair]) for pair in found}
    for source in {source for source, _ in expected}:
        best = sorted((weight for pair, weight in expected.items() if pair[0] == source), reverse=True)[:8]
        assert sorted((w for pair, w in found.items() if pair[0] == source), reverse=True) == pytest.approx(
            best
        )
    before = answers(cortex)
    do(cortex, *relates)
    assert answers(cortex) == before
    assert cortex.relationship_count == len(relates)
    for number in range(60, 66):  # those that rested do not any more
        do(cortex, put(number, f"quite other{number}x"))
    assert not {(relate.source, relate.target) for relate in proposed(cortex)} & set(found)


def test_what_is_linked_is_not_proposed_again_after_a_restart(kernels: Kernels) -> None:
    cortex = families(random.Random(1), kernels, 30)
    relates = proposed(cortex)
    do(cortex, *relates[::2])
    again = Cortex(cortex.settings, kernels)
    for name in ("arrays", "postings", "concepts", "relationships", "properties"):
        setattr(again, name, getattr(cortex, name))
    again.searcher, again.operations, again.columns = cortex.searcher, cortex.operations, cortex.columns
    again.free = cortex.free
    again.consolidation.proposing = True
    pairs = {(relate.source, relate.target) for relate in proposed(again)}
    assert pairs >= {(relate.source, relate.target) for relate in relates[1::2]}
    assert not pairs & {(relate.source, relate.target) for relate in relates[::2]}


def test_only_the_owner_of_a_cortex_with_a_radius_proposes(kernels: Kernels) -> None:
    for radius, owner in ((0.5, False), (0.0, True)):
        cortex = Cortex(CortexSettings(radius=radius, refractory=0), kernels)
        cortex.consolidation.proposing = owner
        for number in range(6):
            do(cortex, put(number, f"alpha beta gamma delta epsilon own{number}x"))
        assert proposed(cortex) == []
        assert cortex.consolidation.backlog() == 0
    cortex.consolidation.proposing = True


def test_a_column_that_rests_waits_and_one_that_is_gone_is_left_out(kernels: Kernels) -> None:
    cortex = Cortex(CortexSettings(radius=0.4, refractory=4), kernels)
    cortex.consolidation.proposing = True
    do(cortex, *(put(1000 + number, f"other{number}x") for number in range(40)))
    assert proposed(cortex) == []
    alike = [f"alpha beta gamma delta epsilon own{number}x" for number in range(5)]
    do(cortex, *(put(number, text) for number, text in enumerate(alike)))
    do(cortex, *(Delete(identifier(9999)) for _ in range(3)))
    do(cortex, put(5, alike[3]))  # joins it: it rests again
    assert cortex.column_of(identifier(5)) == cortex.column_of(identifier(3))
    do(cortex, Delete(identifier(4)))
    sources = {relate.source for relate in proposed(cortex)}
    assert sources == {identifier(2)}
    do(cortex, *(Delete(identifier(9999)) for _ in range(4)))
    assert {relate.source for relate in proposed(cortex)} == {identifier(3)}
    do(cortex, *(Delete(identifier(9999)) for _ in range(9)))
    assert proposed(cortex) == []
    assert cortex.consolidation.backlog() == 0


def test_no_more_is_proposed_while_proposals_wait(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consolidation, "_UNHEARD", 10)
    cortex = families(random.Random(2), kernels)
    list(items(cortex))
    waiting = cortex.consolidation.backlog()
    assert waiting > 5
    assert len(cortex.consolidation.proposals(4)) == 4
    first = cortex.consolidation.proposals(1000)
    assert 6 <= len(first) <= 6 + consolidation._LINKS
    assert proposed(cortex)
    assert cortex.consolidation.backlog() < waiting


def test_a_small_activation_ends_and_replicas_stay_the_same(kernels: Kernels) -> None:
    cortices = Cortex(QUICK, kernels), Cortex(QUICK, kernels)

    def both(*operations: Operation) -> None:
        decisions = cortices[0].compete(operations)[1]
        for cortex in cortices:
            cortex.apply(decisions)

    both(*(put(number, f"only{number}x") for number in range(150)))
    for elapsed in (24, 2):
        passing = replace(cortices[0].compete([])[1], operations=elapsed * HALF_LIFE)
        for cortex in cortices:
            cortex.apply(passing)
        list(items(cortices[0]))
        activations = cortices[0].arrays.activation
        assert activations[:150].all() == (elapsed == 24)
    assert not activations.any()
    assert cortices[1].arrays.activation[:150].all()
    both(*(put(500 + number, f"only{number}x") for number in range(150)))
    assert arrays_of(cortices[0]) == arrays_of(cortices[1])
    assert cortices[0].arrays.activation[:150].tolist() == [1.0] * 150


def test_churn_uses_again_what_was_freed(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_EDGES", 100)
    monkeypatch.setattr(merging, "_ROWS", 100)
    monkeypatch.setattr(merging, "_BYTES", 1 << 12)
    monkeypatch.setattr(relationships, "_SMALLEST_MERGE", 200)
    chance, cortex, sizes = random.Random(4), Cortex(QUICK, kernels), []
    alive: list[int] = []
    made = texts(600, seed=5, vocabulary=200)
    for turn in range(9):
        gone, alive = alive, [turn * 1000 + number for number in range(150)]
        for start in range(0, 150, 30):
            new, old = alive[start : start + 30], gone[start : start + 30]
            puts = [put(number, chance.choice(made), (tag(1, number % 5),), 384) for number in new]
            relates = [
                Relate(identifier(number), identifier(chance.choice(alive)), kind, 0.5, pending=True)
                for number in new for kind in ("a", "b", "c")
            ]  # fmt: skip
            do(cortex, *puts, *relates, *(Delete(identifier(number)) for number in old))
            list(items(cortex))
        sizes.append(cortex.nbytes)
    assert cortex.concept_count == 150
    assert cortex.free.watermark < 2 * 150 + 64
    assert max(sizes[4:]) <= 1.05 * sizes[3]


class Slow:
    """A task that waits for nothing and has so many items."""

    def __init__(self, left: int, done: list[str], name: str) -> None:
        self.left, self._done, self._name = left, done, name

    def backlog(self) -> int:
        return self.left

    def step(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self._done.append(self._name)
        return True


def test_tasks_take_turns_and_a_slice_does_at_least_one_item() -> None:
    done: list[str] = []
    work = Cortex().consolidation
    work._tasks.clear()
    work._tasks.extend((Slow(3, done, "a"), Slow(0, done, "b"), Slow(5, done, "c")))
    assert work.backlog() == 8
    assert work.step(0) == 1
    assert work.backlog() == 7
    assert work.step(60) == 7
    assert "".join(done) == "acacaccc"
    assert (work.step(60), work.backlog()) == (0, 0)
