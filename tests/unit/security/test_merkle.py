"""Trees and proofs, beside the definitions of RFC 6962 written down as they stand, and beside pymerkle."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from cortex_runtime.formats import merkle
from cortex_runtime.formats.merkle import Frontier, ProofError, Subtree

SIZES = st.integers(1, 300)


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, over contents."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962, 2.1.2: PROOF(m, D) is SUBPROOF(m, D, true)."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def contents(size: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(size)]


def stored(leaves: list[bytes]) -> dict[Subtree, bytes]:
    found: dict[Subtree, bytes] = {}
    frontier = Frontier()
    for number, leaf in enumerate(leaves):
        found[0, number] = merkle.leaf_hash(leaf)
        found |= dict(frontier.add(found[0, number]))
    return found


def test_the_empty_tree_has_the_root_of_the_rfc() -> None:
    assert merkle.root([]) == mth([]) == Frontier().root


@given(SIZES)
def test_roots_are_those_of_the_rfc_however_the_tree_grew(size: int) -> None:
    leaves = contents(size)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    assert merkle.root(hashes) == mth(leaves)
    half = Frontier()
    for leaf in hashes[: size // 2]:
        half.add(leaf)
    resumed = Frontier(half.size, half.stored)
    for leaf in hashes[size // 2 :]:
        resumed.add(leaf)
    assert (resumed.root, resumed.size) == (mth(leaves), size)


@given(SIZES, st.data())
def test_inclusion_proofs_are_those_of_the_rfc_and_are_believed(size: int, data: st.DataObject) -> None:
    leaf, leaves = data.draw(st.integers(0, size - 1)), contents(size)
    found = merkle.prove(merkle.inclusion_ranges(leaf, size), stored(leaves).__getitem__)
    assert found == path(leaf, leaves)
    merkle.check_inclusion(merkle.leaf_hash(leaves[leaf]), leaf, size, found, mth(leaves))


@given(SIZES, st.data())
def test_consistency_proofs_are_those_of_the_rfc_and_are_believed(size: int, data: st.DataObject) -> None:
    first, leaves = data.draw(st.integers(1, size)), contents(size)
    found = merkle.prove(merkle.consistency_ranges(first, size), stored(leaves).__getitem__)
    assert found == proof(first, leaves)
    merkle.check_consistency(first, mth(leaves[:first]), size, mth(leaves), found)


@given(st.integers(2, 100), st.data())
def test_no_other_proof_is_believed(size: int, data: st.DataObject) -> None:
    leaves, draw = contents(size), data.draw
    root, leaf = mth(leaves), draw(st.integers(0, size - 1))
    good, own = path(leaf, leaves), merkle.leaf_hash(leaves[leaf])
    at = draw(st.integers(0, len(good) - 1))
    wrong = [*good[:at], os.urandom(32), *good[at + 1 :]]
    other = draw(st.integers(0, size - 1).filter(lambda each: each != leaf))
    for call in (
        (own, leaf, size, wrong, root), (own, leaf, size, good[:-1], root),
        (own, leaf, size, [*good, root], root), (own, other, size, good, root),
        (os.urandom(32), leaf, size, good, root), (own, leaf, size, good, os.urandom(32)),
        (own, size, size, good, root), (own, -1, size, good, root),
    ):  # fmt: skip
        with pytest.raises(ProofError):
            merkle.check_inclusion(*call)


@given(st.integers(2, 100), st.data())
def test_no_other_history_is_believed(size: int, data: st.DataObject) -> None:
    leaves, draw = contents(size), data.draw
    first = draw(st.integers(1, size - 1))
    good, old, new = proof(first, leaves), mth(leaves[:first]), mth(leaves)
    at = draw(st.integers(0, len(good) - 1))
    wrong = [*good[:at], os.urandom(32), *good[at + 1 :]]
    for call in (
        (first, old, size, new, wrong), (first, old, size, new, good[:-1]),
        (first, old, size, new, [*good, new]), (first, os.urandom(32), size, new, good),
        (first, old, size, os.urandom(32), good), (size, new, first, old, good),
        (size, new, size, old, []), (0, old, size, new, []),
    ):  # fmt: skip
        with pytest.raises(ProofError):
            merkle.check_consistency(*call)


def test_a_tree_begins_with_the_empty_one_and_with_itself() -> None:
    root = mth(contents(5))
    merkle.check_consistency(0, merkle.EMPTY, 5, root, [])
    merkle.check_consistency(5, root, 5, root, [])
    assert merkle.consistency_ranges(5, 5) == []
    for wrong in ((0, 5), (6, 5)):
        with pytest.raises(ProofError):
            merkle.consistency_ranges(*wrong)
    with pytest.raises(ProofError):
        merkle.inclusion_ranges(5, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 100])
def test_pymerkle_has_the_same_roots(size: int) -> None:
    tree = InmemoryTree(algorithm="sha256")
    for leaf in contents(size):
        tree.append_entry(leaf)
    assert tree.get_root() == merkle.root([merkle.leaf_hash(leaf) for leaf in contents(size)])


def test_a_damaged_frontier_is_not_gone_on_with() -> None:
    for size, hashes in ((1, b""), (2, bytes(64)), (3, bytes(63)), (0, bytes(32))):
        with pytest.raises(ValueError, match="frontier"):
            Frontier(size, hashes)


def test_a_proof_needs_few_hashes_of_a_large_tree() -> None:
    size = 1_000_003
    needed = [
        subtree for each in merkle.inclusion_ranges(777_777, size) for subtree in merkle.subtrees(*each)
    ]
    assert len(needed) < 2 * size.bit_length()
