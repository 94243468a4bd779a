from __future__ import annotations

import random

import numpy as np
import pytest

from cortex_runtime.columns import (
    NEAR_DUPLICATE,
    Cortex,
    CortexSettings,
    Delete,
    QueryTooComplexError,
    Relate,
    Unrelate,
    merging,
    relationships,
)
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.spreading import Spread
from unit.columns.worlds import ENCODER, identifier, put


@pytest.fixture(params=["new", "merging", "merged"])
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How far the merge is when the spreading begins."""
    monkeypatch.setattr(relationships, "_SMALLEST_MERGE", 8)
    monkeypatch.setattr(merging, "_EDGES", 7)
    return str(request.param)


def merge(cortex: Cortex, stage: str) -> None:
    """Merge what is there: all of it, or half of it in the middle of another merge."""
    if stage == "merged":
        cortex.relationships.merge()
    elif stage == "merging":
        for _ in range(cortex.relationships.waiting() // 2):
            cortex.relationships.step()
        assert cortex.relationships.waiting()


def graph(seed: int, kernels: Kernels, stage: str) -> tuple[Cortex, dict[int, list[tuple[int, str, float]]]]:
    chance, cortex = random.Random(seed), Cortex(CortexSettings(join_threshold=1.0), kernels)
    cortex.apply(cortex.compete([put(number, f"word{number} own{number}x") for number in range(40)])[1])
    edges: dict[tuple[int, str, int], float] = {}
    for _ in range(140):
        source, target, name = chance.randrange(40), chance.randrange(44), chance.choice(["a", "b"])
        edges[source, name, target] = chance.choice([0.2, 0.5, 0.8, 1.0])
    relates = [Relate(identifier(s), identifier(t), n, w, pending=True) for (s, n, t), w in edges.items()]
    for part in (relates[:80], relates[80:]):
        cortex.apply(cortex.compete(part)[1])
        merge(cortex, stage)
    leaving: dict[int, list[tuple[int, str, float]]] = {number: [] for number in range(44)}
    for (source, name, target), weight in edges.items():
        leaving[source].append((target, name, float(np.float32(weight))))
    return cortex, leaving


def walk(
    leaving: dict[int, list[tuple[int, str, float]]], seeds: dict[int, float], hops: int, decay: float
) -> dict[int, float]:
    """The best product over all paths, by walking all of them."""
    best = dict(seeds)

    def step(concept: int, activation: float, left: int) -> None:
        if left:
            for target, _, weight in leaving[concept]:
                if target < 40:  # the others were never put
                    arriving = activation * decay * weight
                    best[target] = max(best.get(target, 0.0), arriving)
                    step(target, arriving, left - 1)

    for seed, activation in seeds.items():
        step(seed, activation, hops)
    return best


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spreading_is_a_walk_over_all_paths(seed: int, hops: int, stage: str, kernels: Kernels) -> None:
    cortex, leaving = graph(seed, kernels, stage)
    text = "word1 own1x word2 own2x word3"
    seeds = {
        int.from_bytes(m.ids[0], "big"): m.overlap for m in cortex.query(ENCODER.encode(text), 5).matches
    }
    result = cortex.query(ENCODER.encode(text), 5, hops=hops, decay=0.7)
    assert not result.capped
    expected = walk(leaving, seeds, hops, 0.7)
    reached = sorted((value for concept, value in expected.items() if concept not in seeds), reverse=True)[:5]
    found = {int.from_bytes(match.ids[0], "big"): match for match in result.matches}
    for concept, match in found.items():
        assert match.activation == pytest.approx(expected[concept])
    spread = [match.activation for concept, match in found.items() if concept not in seeds]
    assert spread == pytest.approx(reached)
    assert set(seeds) <= set(found)
    activations = [match.activation for match in result.matches]
    assert activations == sorted(activations, reverse=True)
    if hops:
        assert len(found) > len(seeds)


def test_the_path_explains_the_activation(stage: str, kernels: Kernels) -> None:
    cortex, leaving = graph(1, kernels, stage)
    weights = {(s, n, t): w for s, edges in leaving.items() for t, n, w in edges}
    result = cortex.query(ENCODER.encode("word1 own1x"), 3, hops=3, decay=0.6)
    overlaps = {
        match.ids[0]: match.overlap for match in cortex.query(ENCODER.encode("word1 own1x"), 3).matches
    }
    explained = 0
    for match in result.matches:
        if not match.path:
            assert match.activation == match.overlap
            continue
        explained += 1
        product = overlaps[match.path[0].source]
        for step, following in zip(match.path, [*match.path[1:], None], strict=True):
            edge = int.from_bytes(step.source, "big"), step.type, int.from_bytes(step.target, "big")
            product *= 0.6 * weights[edge]
            assert following is None or following.source == step.target
        assert match.path[-1].target in match.ids
        assert match.activation == pytest.approx(product)
    assert explained


def test_a_hop_over_too_many_relationships_is_refused_or_not_begun(kernels: Kernels) -> None:
    cortex = Cortex(None, kernels)
    cortex.apply(cortex.compete([put(number, f"only{number}") for number in range(50)])[1])
    relates = [
        Relate(identifier(number), identifier((number + step) % 50), f"to{step}", 1.0)
        for number in range(50)
        for step in range(1, 45)
    ]
    cortex.apply(cortex.compete(relates)[1])
    asked = ENCODER.encode("only0")
    for _ in range(2):
        # One hop looks at 44 relationships, the next at 44 · 44 more: 1,980 are two units together.
        first = cortex.query(asked, 60, hops=1, budget=1)
        assert (first.capped, first.cost, len(first.matches)) == (False, 1, 45)
        whole = cortex.query(asked, 60, hops=2, budget=2)
        assert (whole.capped, whole.cost, len(whole.matches)) == (False, 2, 50)
        with pytest.raises(QueryTooComplexError) as refusal:
            cortex.query(asked, 60, hops=2, budget=1)
        assert (refusal.value.cost, refusal.value.budget) == (2, 1)
        capped = cortex.query(asked, 60, hops=2, budget=1, exact=False)
        assert (capped.capped, capped.cost, capped.matches) == (True, 1, first.matches)
        cortex.relationships.merge()


def best_steps(
    cortex: Cortex, activations: dict[int, float], frontier: list[int]
) -> dict[int, tuple[float, int, int]]:
    """What a hop should raise, each with what it gets and the best step to it: by trying all."""
    best: dict[int, tuple[float, int, int]] = {}
    for source in frontier:
        for target, number, weight in cortex.relationships.of(source):
            arriving = activations[source] * 0.5 * weight
            if cortex.relationships.types[number] != NEAR_DUPLICATE and arriving > activations.get(target, 0):
                step = -arriving, source, number
                best[target] = min(best.get(target, step), step)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_of_paths_as_good_the_lowest_row_and_type_is_told(seed: int, stage: str, kernels: Kernels) -> None:
    chance = random.Random(seed)
    cortex = Cortex(CortexSettings(join_threshold=1.0), kernels)
    cortex.apply(cortex.compete([put(number, f"word{number}") for number in range(30)])[1])
    for _ in range(3):
        relates = [
            Relate(
                identifier(chance.randrange(30)), identifier(chance.randrange(30)),
                chance.choice(["a", "b", "c", NEAR_DUPLICATE]), chance.choice([0.5, 1.0]),
            )
            for _ in range(80)
        ]  # fmt: skip
        gone = [Unrelate(relate.source, relate.target, relate.type) for relate in relates[::9]]
        cortex.apply(cortex.compete([*relates, *gone])[1])
        merge(cortex, stage)
    for _ in range(5):
        seeds = chance.sample(range(30), 6)
        expected = {row: chance.choice([0.25, 0.5, 1.0]) for row in seeds}
        spread = Spread(cortex, np.array(seeds), np.array(list(expected.values())))
        frontier, reached = seeds, set[int]()
        for _ in range(3):
            steps = best_steps(cortex, expected, frontier)
            followed = [
                edge for row in frontier for edge in cortex.relationships.of(row)
                if cortex.relationships.types[edge[1]] != NEAR_DUPLICATE
            ]  # fmt: skip
            assert spread.edges_ahead() == len(followed)
            assert spread.hop(0.5) == bool(steps)
            expected |= {target: -arriving for target, (arriving, _, _) in steps.items()}
            frontier = sorted(steps)
            reached |= set(frontier)
            for target, (_, source, number) in steps.items():
                assert spread.path(target)[-1] == (source, number, target)
        assert spread.reached().tolist() == sorted(reached)
        values = spread.activations[np.arange(30)].tolist()
        assert values == [expected.get(row, 0.0) for row in range(30)]


def test_a_concept_that_is_gone_is_not_reached(stage: str, kernels: Kernels) -> None:
    cortex = Cortex(None, kernels)
    cortex.apply(cortex.compete([put(number, f"only{number}") for number in range(4)])[1])
    relates = [Relate(identifier(0), identifier(target), "to", 1.0, pending=True) for target in range(1, 14)]
    cortex.apply(cortex.compete(relates)[1])
    merge(cortex, stage)
    cortex.apply(cortex.compete([Delete(identifier(2))])[1])
    result = cortex.query(ENCODER.encode("only0"), 20, hops=1)
    assert {match.ids[0] for match in result.matches} == {identifier(number) for number in (0, 1, 3)}
