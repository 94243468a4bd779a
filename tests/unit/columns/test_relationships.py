from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from cortex_runtime.columns import (
    Cortex,
    Relate,
    RelationshipRecord,
    Unrelate,
    merging,
    relationships,
)
from cortex_runtime.columns.edges import Edges
from cortex_runtime.columns.kernels import Kernels, KernelsError, chosen
from cortex_runtime.columns.relationships import NEAR_DUPLICATES, Relationships
from unit.columns.worlds import identifier, put

Edge = tuple[int, int, int]


@pytest.fixture(params=[1, 6, 1000])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many edges, and rows, a piece of a merge is about: fewer than a row has, a few rows, all."""
    monkeypatch.setattr(relationships, "_SMALLEST_MERGE", 8)
    monkeypatch.setattr(merging, "_EDGES", request.param)
    monkeypatch.setattr(merging, "_ROWS", request.param)
    return int(request.param)


def columns(edges: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sources, targets, types = np.array(edges, dtype=np.int64).reshape(-1, 3).T.copy()
    return sources, targets, types


class Pair:
    """Relationships beside the dictionary of the edges they hold: (source, target, type) to weight."""

    def __init__(self, kernels: Kernels, seed: int, rows: int, most_pieces: int = 0) -> None:
        self._kernels = kernels
        self.relationships, self.expected = Relationships(kernels), dict[Edge, float]()
        self.chance, self.rows = random.Random(seed), rows
        self.most_pieces = most_pieces
        self.begun = self.ended = 0

    def change(self) -> None:
        chance, held = self.chance, self.relationships
        match chance.choice("ssssmmrnd" if chance.random() < 0.1 else "ssmrn"):
            case "s":
                edge, weight = self._edge(), chance.choice([0.25, 0.5, 1.0])
                held.set(*edge, weight)
                self.expected[edge] = weight
            case "m":
                edges = [self._edge() for _ in range(chance.randint(0, 9))]
                weights = [chance.choice([0.25, 0.5, 1.0]) for _ in edges]
                held.set_many(*columns(edges), np.array(weights, dtype=np.float32))
                self.expected |= dict(zip(edges, weights, strict=True))
            case "r":
                edge = self._edge()
                assert held.remove(*edge) == (self.expected.pop(edge, None) is not None)
            case "n":
                edges = [self._edge() for _ in range(chance.randint(0, 9))]
                there = [self.expected.pop(edge, None) is not None for edge in edges]
                assert held.remove_many(*columns(edges)).tolist() == there
            case _:
                row = chance.randrange(self.rows)
                assert sorted(held.drop(row)) == sorted(e[1] for e in self.expected if e[0] == row)
                self.expected = {e: weight for e, weight in self.expected.items() if row not in e[:2]}

    def merge_a_little(self) -> None:
        held = self.relationships
        for _ in range(self.chance.randint(0, self.most_pieces)):
            if held.waiting():
                before = held.compressed
                self.begun += not held.frozen.used
                held.step()
                self.ended += held.compressed is not before

    def restore(self) -> None:
        state = {name: part.copy() for name, part in self.relationships.state().items()}
        self.relationships = Relationships(self._kernels)
        self.relationships.restore(state)

    def check(self) -> None:
        held, expected = self.relationships, self.expected
        assert dictionary(held.all()) == expected
        assert held.count == len(expected)
        incoming = [sum(edge[1] == row for edge in expected) for row in range(held.incoming.size)]
        assert held.incoming.tolist() == incoming
        spreading = [edge[0] for edge in expected if edge[2] != NEAR_DUPLICATES]
        assert held.outgoing.tolist() == [spreading.count(row) for row in range(held.outgoing.size)]
        rows = np.array([self.chance.randrange(self.rows + 3) for _ in range(6)])
        asked = rows.tolist()
        leaving = held.leaving(rows)
        assert count(leaving, lambda index: asked[index]) == count_of(expected, asked, end=0)
        assert count(held.arriving(rows)) == count_of(expected, asked, end=1)
        assert held.count_leaving(rows) == sum(spreading.count(row) for row in asked)
        assert sorted(held.of(asked[0])) == sorted(
            (target, number, weight) for (s, target, number), weight in expected.items() if s == asked[0]
        )
        edge = self._edge()
        assert held.has(edge[0], edge[1], held.types[edge[2]]) == (edge in expected)

    def _edge(self) -> Edge:
        chance, rows = self.chance, self.rows
        hub = chance.random() < 0.3
        source = 0 if hub else chance.randrange(rows)
        return source, chance.choice([1, chance.randrange(rows)]), chance.randrange(3)


def dictionary(edges: Edges) -> dict[Edge, float]:
    counts = count(edges)
    assert max(counts.values(), default=1) == 1
    return {edge[:3]: edge[3] for edge in counts}


def count(edges: Edges, row: Callable[[int], int] = int) -> Counter[tuple[int, int, int, float]]:
    parts = (edges.sources, edges.targets, edges.types, edges.weights)
    return Counter((row(s), t, k, w) for s, t, k, w in zip(*(p.tolist() for p in parts), strict=True))


def count_of(expected: dict[Edge, float], rows: list[int], end: int) -> Counter[tuple[int, int, int, float]]:
    return Counter((*edge, weight) for row in rows for edge, weight in expected.items() if edge[end] == row)


@pytest.mark.parametrize("rows", [5, 40])
def test_edges_are_what_a_dictionary_would_hold_before_during_and_after_merges(
    piece: int, rows: int, kernels: Kernels
) -> None:
    pair = Pair(kernels, piece, rows, most_pieces=50 if piece == 1 else 6)
    for name in ("a", "b"):
        pair.relationships.type_id(name)
    for step in range(450):
        pair.change()
        pair.merge_a_little()
        if step % 4 == 0:
            pair.check()
        if step % 90 == 0:
            pair.restore()
            pair.check()
    pair.relationships.merge()
    pair.check()
    assert pair.relationships.compressed.weights.all()
    assert pair.relationships.delta.used == 0
    assert pair.begun > 1
    assert pair.ended > 1


def test_both_kernels_hold_edges_in_the_same_places(piece: int) -> None:
    states = []
    for name in ("numpy", "numba"):
        try:
            pair = Pair(chosen(name), 7, 20)
        except KernelsError as error:
            pytest.skip(str(error))
        for step in range(400):
            pair.change()
            if step % 30 == 0:
                pair.relationships.merge()
        states.append({name: part.tolist() for name, part in pair.relationships.state().items()})
    assert states[0] == states[1]


def test_a_long_chain_is_followed_to_its_end(kernels: Kernels) -> None:
    held = Relationships(kernels)
    sources = np.arange(600) % 3
    targets, types = np.arange(600) // 3, np.full(600, 1)
    held.set_many(sources, targets, types, np.linspace(0.1, 1, 600, dtype=np.float32))
    edges = held.leaving(np.array([2, 9, 0, 2]))
    found = sorted(zip(edges.sources.tolist(), edges.targets.tolist(), strict=True))
    assert found == sorted((index, target) for index in (0, 2, 3) for target in range(200))
    assert np.isin(edges.weights, np.linspace(0.1, 1, 600, dtype=np.float32)).all()
    held.remove_many(sources[:300], targets[:300], types[:300])
    assert sorted(held.leaving(np.array([1])).targets.tolist()) == list(range(100, 200))


def test_a_weight_is_replaced_and_a_relationship_removed(kernels: Kernels) -> None:
    cortex = Cortex(None, kernels)
    cortex.apply(cortex.compete([put(1, "one"), put(2, "two")])[1])
    for weight in (0.5, 0.25):
        cortex.apply(cortex.compete([Relate(identifier(1), identifier(2), "to", weight)])[1])
        assert cortex.relationships_of(identifier(1)) == [
            RelationshipRecord(identifier(1), identifier(2), "to", weight)
        ]
    cortex.apply(cortex.compete([Unrelate(identifier(1), identifier(2), "to")])[1])
    assert cortex.relationships_of(identifier(1)) == []
    assert cortex.relationships_of(identifier(7)) == []
