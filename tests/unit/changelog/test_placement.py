"""Placement: even, stable, and little moves when a node comes or goes."""

from __future__ import annotations

from collections import Counter

from cortex_runtime.changelog.placement import SLOTS, holders, ranked, slot_of

NODES = tuple(f"eu-west-{i}" for i in range(1, 11))


def test_a_cortex_is_always_in_the_same_slot() -> None:
    assert slot_of("acme", "main") == slot_of("acme", "main") == 821
    assert slot_of("acme", "main") != slot_of("ac", "memain")


def test_slots_are_spread_evenly() -> None:
    first = Counter(ranked(slot, NODES)[0] for slot in range(SLOTS))
    assert set(first) == set(NODES)
    assert max(first.values()) < 1.5 * SLOTS / len(NODES)


def test_two_nodes_of_a_region_hold_a_slot() -> None:
    assert all(len(set(holders(slot, NODES))) == 2 for slot in range(SLOTS))
    assert holders(7, ("only",)) == ("only",)


def test_a_node_that_leaves_moves_only_what_it_held() -> None:
    rest = NODES[:-1]
    for slot in range(SLOTS):
        if NODES[-1] not in holders(slot, NODES):
            assert holders(slot, rest) == holders(slot, NODES)
