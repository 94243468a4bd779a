"""Filters by property, own and inherited: against a look at every concept."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from cortex_runtime.columns import (
    INHERITS,
    Cortex,
    CortexSettings,
    Delete,
    InvalidQueryError,
    Match,
    Operation,
    QueryTooComplexError,
    Relate,
    filtering,
)
from cortex_runtime.columns import querying as module
from cortex_runtime.columns.model import KEY_SHIFT
from cortex_runtime.columns.search import MAX_IDS
from unit.columns.worlds import ENCODER, full_scan, identifier, inherit, put, tag

Where = tuple[tuple[int, ...], ...]


@dataclass
class World:
    """A cortex, and what its concepts have, by number."""

    cortex: Cortex = field(default_factory=lambda: Cortex(CortexSettings(join_threshold=0.8, refractory=2)))
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)

    def do(self, *operations: Operation) -> None:
        self.cortex.apply(self.cortex.compete(operations)[1])

    def holds(self, number: int, where: Where) -> bool:
        return all(self._holds_one_of(number, group) for group in where)

    def _holds_one_of(self, number: int | None, group: tuple[int, ...]) -> bool:
        while number is not None and number in self.tags:
            of_key = [each for each in self.tags[number] if each >> KEY_SHIFT == group[0] >> KEY_SHIFT]
            if of_key:
                return any(each in group for each in of_key)
            number = self.parents.get(number)
        return False

    def expected(self, text: str, k: int, where: Where) -> list[tuple[int, tuple[bytes, ...]]]:
        """The k best columns that have a concept which holds, with those that do, the latest first."""
        found: list[tuple[int, tuple[bytes, ...]]] = []
        for column, _ in full_scan(self.cortex, ENCODER.encode(text).bits, 10_000):
            held = [each for each in self.cortex.ids_of(column) if self.holds(number_of(each), where)]
            if held:
                found.append((column, tuple(held[:MAX_IDS])))
        return found[:k]


def number_of(identifier: bytes) -> int:
    return int.from_bytes(identifier, "big")


def world(seed: int, size: int = 240) -> World:
    """Concepts that share columns, have up to 4 tags, inherit from each other, and go and come again."""
    chance, made = random.Random(seed), World()
    for _ in range(4 * size):
        number = chance.randrange(size)
        match chance.randrange(10):
            case 0 if number in made.tags:
                made.do(Delete(identifier(number)))
                del made.tags[number]
                made.parents = {c: p for c, p in made.parents.items() if number not in (c, p)}
            case 1 | 2 | 3 if number in made.tags and number:
                parent = chance.randrange(number)
                if parent in made.tags:
                    made.do(inherit(number, parent))
                    made.parents[number] = parent
            case _:
                text = f"topic{chance.randrange(40)} word{chance.randrange(6)} the"
                tags = {tag(chance.randrange(4), chance.randrange(3)) for _ in range(chance.randrange(5))}
                made.do(put(number, text, tuple(sorted(tags))))
                made.tags[number] = tuple(sorted(tags))
    return made


WORLDS = [world(seed) for seed in range(3)]
FILTERS: list[Where] = [
    ((tag(1, 1),),),
    ((tag(1, 1), tag(1, 2)),),
    ((tag(1, 1),), (tag(2, 2), tag(2, 1))),
    ((tag(0, 0),),),
    ((tag(3, 0),), (tag(0, 2),), (tag(1, 0), tag(1, 2))),
    ((tag(9, 1),),),
]


@pytest.fixture(params=["looked up", "looked through", "looked through a few"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a filter is met: the property's concepts first, or the best columns first, a few or all of them."""
    if request.param == "looked up":
        monkeypatch.setattr(module, "_A_LOOK_UP", 0)
    else:
        monkeypatch.setattr(module, "_A_LOOK_UP", 1 << 60)
        monkeypatch.setattr(module, "_FIRST_LOOKED_THROUGH", 1)
        monkeypatch.setattr(module, "_FIRST_CHECKED", 2)
        if request.param == "looked through a few":
            monkeypatch.setattr(module, "_MOST_LOOKED_THROUGH", 4)
    return str(request.param)


@pytest.mark.parametrize("where", FILTERS)
@pytest.mark.parametrize("number", range(len(WORLDS)))
def test_a_filtered_query_is_a_full_scan_of_those_that_hold(number: int, where: Where, way: str) -> None:
    made = WORLDS[number]
    for text, k in (("topic3 word1", 3), ("topic5 topic6 word2 the", 10), ("the", 200), ("nothing", 5)):
        result = made.cortex.query(ENCODER.encode(text), k, where=where)
        assert [(match.column, match.ids) for match in result.matches] == made.expected(text, k, where)
        assert not result.capped


def test_the_worlds_have_what_the_tests_are_about() -> None:
    for made in WORLDS:
        depths = [len(made.cortex.ancestors_of(identifier(number))) for number in made.tags]
        assert max(depths) > 2
        assert max(len(made.cortex.ids_of(column)) for column in range(made.cortex.free.watermark)) > 2
        for where in FILTERS[:-1]:
            held = [number for number in made.tags if made.holds(number, where)]
            own = [number for number in held if all(set(made.tags[number]) & set(group) for group in where)]
            assert len(own) < len(held) < len(made.tags)


def test_spreading_reaches_only_what_holds_but_goes_over_others(way: str) -> None:
    made = World()
    made.do(*(put(number, f"only{number}", (tag(1, number % 2),)) for number in range(6)))
    made.do(*(Relate(identifier(n), identifier(n + 1), "next", 1.0) for n in range(5)))
    made.do(inherit(5, 1))
    result = made.cortex.query(ENCODER.encode("only0 only2"), 10, hops=3, where=((tag(1, 0),),))
    assert [[number_of(each) for each in match.ids] for match in result.matches] == [[0], [2], [4]]
    asked = ENCODER.encode("only1")
    assert made.cortex.query(asked, 10, hops=3, where=((tag(1, 0),),)).matches == ()
    odd = made.cortex.query(asked, 1, hops=2, where=((tag(1, 1),),)).matches
    assert [number_of(match.ids[0]) for match in odd] == [1, 3]
    assert [number_of(step.target) for step in odd[1].path] == [2, 3]


def test_an_exception_removes_what_would_be_inherited_also_for_those_below() -> None:
    made = World()
    made.do(
        put(0, "bird", (tag(1, 1),)), put(1, "penguin bird", (tag(1, 0),)), put(2, "emperor penguin"),
        put(3, "robin bird"), put(4, "flying penguin", (tag(1, 1),)),
        inherit(1, 0), inherit(2, 1), inherit(3, 0), inherit(4, 2),
    )  # fmt: skip

    def found(where: Where) -> set[int]:
        asked = ENCODER.encode("bird penguin emperor robin flying")
        return {number_of(each) for match in matches(asked, where) for each in match.ids}

    def matches(asked: object, where: Where) -> tuple[Match, ...]:
        return made.cortex.query(asked, 10, where=where).matches  # type: ignore[arg-type]

    assert found(((tag(1, 1),),)) == {0, 3, 4}
    assert found(((tag(1, 0),),)) == {1, 2}
    made.do(put(1, "penguin bird"))
    assert found(((tag(1, 1),),)) == {0, 1, 2, 3, 4}
    made.do(Delete(identifier(0)))
    assert found(((tag(1, 1),),)) == {4}
    made.do(put(0, "bird", (tag(1, 1),)), Relate(identifier(2), identifier(0), INHERITS, 0.1))
    assert found(((tag(1, 1),),)) == {0, 2, 4}


def test_a_parent_that_has_not_come_gives_nothing() -> None:
    made = World()
    made.do(put(0, "zero"), inherit(0, 1, pending=True), put(2, "two", (tag(1, 1),)))
    asked, where = ENCODER.encode("zero"), ((tag(1, 1),),)
    assert made.cortex.query(asked, where=where).matches == ()
    made.do(put(1, "one", (tag(1, 1),)))
    assert len(made.cortex.query(asked, where=where).matches) == 1


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        (((),), "1 to 1024 tags"),
        (((tag(1, 1), tag(2, 1)),), "different keys"),
        (((-1,),), "-1"),
        (((1 << 64,),), "whole number"),
        (((0.5,),), "0.5"),
        (((1,),) * 17, "at most 16 groups"),
        ((tuple(range(1025)),), "1 to 1024 tags"),
    ],
)
def test_malformed_filters_are_refused(where: Where, complaint: str) -> None:
    with pytest.raises(InvalidQueryError, match=complaint):
        WORLDS[0].cortex.query(ENCODER.encode("the"), where=where)


def test_a_filter_counts_into_the_budget(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        filtering, "UNIT", 16
    )  # the cortex is too small for queries that cost many whole ones
    made = World()
    texts = [f"{'common' if number % 4 else 'other'} own{number}x" for number in range(3000)]
    made.do(*(put(number, text, (tag(1, number % 3), tag(2, 1))) for number, text in enumerate(texts)))
    where = ((tag(1, 1),), (tag(2, 1),))
    asked = ENCODER.encode("common")
    cost = made.cortex.query(asked, where=where).cost
    # A thousand columns hold it: when it is looked up, each of them is scored, for ten steps.
    assert cost >= (900 if way == "looked up" else 3)
    with pytest.raises(QueryTooComplexError) as refusal:
        made.cortex.query(asked, where=where, budget=cost - 1)
    assert refusal.value.budget == cost - 1 < refusal.value.cost <= cost
    capped = made.cortex.query(asked, where=where, budget=cost - 1, exact=False)
    assert capped.capped
    assert all(made.cortex.traits_of(match.ids[0])[0][0] == tag(1, 1) for match in capped.matches)
    whole = made.cortex.query(asked, where=where, budget=cost, exact=False)
    assert whole == made.cortex.query(asked, where=where)
