from __future__ import annotations

import random

import pytest

from cortex_runtime.columns import (
    INHERITS,
    Competition,
    Cortex,
    CycleError,
    Delete,
    Operation,
    Outcome,
    Relate,
    UnknownConceptError,
    Unrelate,
)
from unit.columns.worlds import identifier, inherit, put


def do(cortex: Cortex, *operations: Operation) -> list[Outcome]:
    outcomes, decisions = cortex.compete(operations)
    cortex.apply(decisions)
    return outcomes


def family(size: int, *parents: tuple[int, int]) -> Cortex:
    """A cortex of concepts 0 to size - 1 with these (child, parent)."""
    cortex = Cortex()
    do(cortex, *(put(number, f"only{number}") for number in range(size)))
    do(cortex, *(inherit(*pair) for pair in parents))
    return cortex


def numbers(ids: tuple[bytes, ...]) -> list[int]:
    return [int.from_bytes(each, "big") for each in ids]


def ancestors(cortex: Cortex, number: int) -> list[int]:
    return numbers(cortex.ancestors_of(identifier(number)))


def test_ancestors_come_nearest_first() -> None:
    cortex = family(5, (1, 0), (2, 1), (3, 2))
    assert ancestors(cortex, 3) == [2, 1, 0]
    assert cortex.parent_of(identifier(3)) == identifier(2)
    assert (ancestors(cortex, 0), ancestors(cortex, 4), ancestors(cortex, 99)) == ([], [], [])
    assert cortex.parent_of(identifier(0)) is None


@pytest.mark.parametrize("together", [True, False])
def test_another_parent_replaces_the_first(together: bool) -> None:
    cortex = family(3)
    operations = [inherit(0, 1), inherit(0, 2), inherit(0, 2)]
    outcomes = do(cortex, *operations) if together else [do(cortex, one)[0] for one in operations]
    assert [outcome.replaced for outcome in outcomes] == [None, identifier(1), None]
    assert ancestors(cortex, 0) == [2]
    assert cortex.relationship_count == 1


def test_other_types_do_not_replace_each_other() -> None:
    cortex = family(3)
    do(cortex, *(Relate(identifier(0), identifier(target), "is a", 1.0) for target in (1, 2)))
    assert cortex.relationship_count == 2
    assert ancestors(cortex, 0) == []


@pytest.mark.parametrize("applied", [0, 1, 2, 3])
def test_a_cycle_is_refused_and_named_whatever_was_decided_where(applied: int) -> None:
    cortex = family(4)
    chain = [inherit(1, 0), inherit(2, 1), inherit(3, 2)]
    do(cortex, *chain[:applied])
    competition = Competition(cortex)
    for operation in chain[applied:]:
        competition.add(operation)
    before = competition.decisions().to_bytes()
    with pytest.raises(CycleError, match=identifier(2).hex()) as refusal:
        competition.add(inherit(0, 3))
    assert numbers(refusal.value.chain) == [0, 3, 2, 1, 0]
    with pytest.raises(CycleError, match="itself"):
        competition.add(inherit(2, 2))
    assert competition.decisions().to_bytes() == before


def test_what_an_unapplied_decision_ended_is_no_cycle() -> None:
    for operation in (
        Unrelate(identifier(2), identifier(1), INHERITS),
        Delete(identifier(1)),
        inherit(2, 3),
    ):
        cortex = family(4, (1, 0), (2, 1))
        competition = Competition(cortex)
        competition.add(operation)
        assert competition.add(inherit(0, 2)).kind == "related"


def test_a_cycle_over_a_parent_that_came_later_is_refused() -> None:
    cortex = family(1)
    do(cortex, inherit(0, 5, pending=True))
    assert ancestors(cortex, 0) == []
    do(cortex, put(5, "comes later"))
    assert ancestors(cortex, 0) == [5]
    with pytest.raises(CycleError):
        cortex.compete([inherit(5, 0)])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("above", [0, 5, 15])
def test_a_chain_has_at_most_16_ancestors(above: int, seed: int) -> None:
    # A chain of `above` ancestors over concept 0, and one from 17 on that reaches 16 when it comes below 0.
    chance = random.Random(seed)
    pairs = [(number, number + 1) for number in range(above)]
    pairs += [(17 + number, 18 + number) for number in range(15 - above)]
    cortex = family(40)
    chance.shuffle(pairs)
    cut = chance.randint(0, len(pairs))
    do(cortex, *(inherit(*pair) for pair in pairs[:cut]))
    competition = Competition(cortex)
    for pair in pairs[cut:]:
        competition.add(inherit(*pair))
    root = 17 + 15 - above
    competition.add(inherit(root, 0))
    with pytest.raises(CycleError, match="more than 16"):
        competition.add(inherit(16 if above < 16 else 39, 17))
    with pytest.raises(CycleError, match="more than 16"):
        competition.add(inherit(above, 39))
    cortex.apply(competition.decisions())
    assert len(ancestors(cortex, 17)) == 16


def test_a_deleted_parent_leaves_its_children_without_one() -> None:
    cortex = family(3, (1, 0), (2, 1))
    do(cortex, Delete(identifier(1)), put(1, "anew"))
    assert ancestors(cortex, 2) == []
    assert ancestors(cortex, 1) == []


def test_a_target_that_is_not_there_is_refused_unless_it_may_come_later() -> None:
    cortex = family(2)
    competition = Competition(cortex)
    competition.add(Delete(identifier(1)))
    for kind in ("has", INHERITS):
        for missing in (1, 9):
            with pytest.raises(UnknownConceptError, match=identifier(missing).hex()) as refusal:
                competition.add(Relate(identifier(0), identifier(missing), kind, 1.0))
            assert refusal.value.identifier == identifier(missing)
            assert competition.decisions().operations == 1
            assert Competition(cortex).add(Relate(identifier(0), identifier(9), kind, 1.0, pending=True)).kind
    competition.add(put(9, "here now"))
    assert competition.add(Relate(identifier(0), identifier(9), "has", 1.0)).kind == "related"


@pytest.mark.parametrize("seed", range(4))
def test_parents_are_what_a_dictionary_would_hold(seed: int) -> None:
    chance, cortex, competition = random.Random(seed), Cortex(), None
    parents: dict[int, int] = {}
    here: set[int] = set()
    for _ in range(1500):
        if competition is None or chance.random() < 0.1:
            if competition is not None:
                cortex.apply(competition.decisions())
                assert {n: ancestors(cortex, n)[0] for n in here if ancestors(cortex, n)} == {
                    child: parent for child, parent in parents.items() if parent in here
                }
            competition = Competition(cortex)
        child, parent = chance.randrange(24), chance.randrange(24)
        match chance.randrange(8):
            case 0:
                competition.add(Delete(identifier(child)))
                if child in here:
                    here.remove(child)
                    parents = {c: p for c, p in parents.items() if child not in (c, p)}
            case 1 | 2:
                competition.add(put(child, f"only{child}"))
                here.add(child)
            case _ if child in here:
                depths = walk(parents | {child: parent})
                if depths is None or max(depths.values()) > 16:
                    with pytest.raises(CycleError):
                        competition.add(inherit(child, parent, pending=True))
                else:
                    outcome = competition.add(inherit(child, parent, pending=True))
                    before = parents.get(child, parent)
                    assert outcome.replaced == (None if before == parent else identifier(before))
                    parents[child] = parent


def walk(parents: dict[int, int]) -> dict[int, int] | None:
    """How many ancestors each child has; None when there is a cycle."""
    depths = {}
    for child in parents:
        seen, at = {child}, child
        while at in parents:
            at = parents[at]
            if at in seen:
                return None
            seen.add(at)
        depths[child] = len(seen) - 1
    return depths
