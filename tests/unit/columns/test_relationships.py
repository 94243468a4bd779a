from __future__ import annotations

import random

import numpy as np
import pytest

from cortex_runtime.columns import (
    Cortex,
    CortexSettings,
    QueryTooComplexError,
    Relate,
    RelationshipRecord,
    Unrelate,
)
from cortex_runtime.columns import relationships as module
from cortex_runtime.columns.relationships import Relationships
from unit.columns.worlds import ENCODER, identifier, put

Edge = tuple[int, int, str]


@pytest.fixture(params=[4, 10_000])
def smallest_merge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many new edges wait at most: few, so that merged edges are met too, or all."""
    monkeypatch.setattr(module, "_SMALLEST_MERGE", request.param)
    return int(request.param)


def held(relationships: Relationships) -> dict[Edge, float]:
    edges = relationships.all()
    rows = zip(*(part.tolist() for part in (edges.sources, edges.targets, edges.types)), strict=True)
    names = [(source, target, relationships.types[number]) for source, target, number in rows]
    assert len(set(names)) == len(names)
    return dict(zip(names, edges.weights.tolist(), strict=True))


def test_edges_are_what_a_dictionary_would_hold(smallest_merge: int) -> None:
    chance, relationships = random.Random(3), Relationships()
    expected: dict[Edge, float] = {}
    for step in range(3000):
        source, target, name = chance.randrange(12), chance.randrange(12), chance.choice("abc")
        edge = source, target, name
        number = relationships.type_id(name)
        match chance.randrange(6):
            case 0:
                assert relationships.remove(source, target, number) == (expected.pop(edge, None) is not None)
            case 1 if step % 20 == 0:
                targets = relationships.drop(source)
                assert sorted(targets) == sorted(e[1] for e in expected if e[0] == source)
                expected = {e: weight for e, weight in expected.items() if source not in e[:2]}
            case _:
                weight = chance.choice([0.25, 0.5, 1.0])
                relationships.set(source, target, number, weight)
                expected[edge] = weight
        assert relationships.has(source, target, name) == (edge in expected)
        assert relationships.count == len(expected)
    assert held(relationships) == expected
    relationships.merge()
    assert held(relationships) == expected
    incoming = [sum(edge[1] == row for edge in expected) for row in range(relationships.incoming.size)]
    assert relationships.incoming.tolist() == incoming
    restored = Relationships()
    restored.restore(relationships.state())
    assert (held(restored), restored.count) == (expected, len(expected))
    assert restored.incoming.tolist() == incoming
    for row in range(12):
        of = {
            (row, target, relationships.types[number]): weight
            for target, number, weight in relationships.of(row)
        }
        assert of == {edge: weight for edge, weight in expected.items() if edge[0] == row}


def graph(seed: int) -> tuple[Cortex, dict[int, list[tuple[int, str, float]]]]:
    chance, cortex = random.Random(seed), Cortex(CortexSettings(join_threshold=1.0))
    cortex.apply(cortex.compete([put(number, f"word{number} own{number}x") for number in range(40)])[1])
    edges: dict[tuple[int, str, int], float] = {}
    for _ in range(140):
        source, target, name = chance.randrange(40), chance.randrange(44), chance.choice(["a", "b"])
        edges[source, name, target] = chance.choice([0.2, 0.5, 0.8, 1.0])
    relates = [Relate(identifier(s), identifier(t), n, w, pending=True) for (s, n, t), w in edges.items()]
    cortex.apply(cortex.compete(relates)[1])
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
def test_spreading_is_a_walk_over_all_paths(seed: int, hops: int, smallest_merge: int) -> None:
    cortex, leaving = graph(seed)
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


def test_the_path_explains_the_activation() -> None:
    cortex, leaving = graph(1)
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


def test_a_hop_over_too_many_relationships_is_refused_or_not_begun() -> None:
    cortex = Cortex()
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


def test_a_weight_is_replaced_and_a_relationship_removed(smallest_merge: int) -> None:
    cortex = Cortex()
    cortex.apply(cortex.compete([put(1, "one"), put(2, "two")])[1])
    for weight in (0.5, 0.25):
        cortex.apply(cortex.compete([Relate(identifier(1), identifier(2), "to", weight)])[1])
        assert cortex.relationships_of(identifier(1)) == [
            RelationshipRecord(identifier(1), identifier(2), "to", weight)
        ]
    cortex.apply(cortex.compete([Unrelate(identifier(1), identifier(2), "to")])[1])
    assert cortex.relationships_of(identifier(1)) == []
    assert cortex.relationships_of(identifier(7)) == []
