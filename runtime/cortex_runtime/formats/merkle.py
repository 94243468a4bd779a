"""Merkle trees as RFC 6962 defines them: roots, inclusion and consistency proofs; pure functions.

A proof is a list of hashes of ranges of leaves; which ranges is arithmetic (RFC 6962, 2.1.1 and 2.1.2). A
range is hashed from perfect subtrees, and so a proof needs few stored hashes (Crosby and Wallach, *Efficient
data structures for tamper-evident logging*, 2009). Checking follows RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256().digest()
Range = tuple[int, int]  # first leaf, and the one behind the last
Subtree = tuple[int, int]  # (height, number): leaves number << height and those after it, 1 << height of them


class ProofError(ValueError):
    """The proof does not prove it."""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def subtrees(start: int, end: int) -> Iterator[Subtree]:
    """Yield the perfect subtrees that a range is made of, left to right.

    The range is one of a tree: its start is a multiple of the power of two that its length does not exceed.
    """
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def join(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a range from those of its perfect subtrees, left to right."""
    if not hashes:
        return EMPTY
    *others, found = hashes
    for left in reversed(others):
        found = node_hash(left, found)
    return found


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree of these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root


class Frontier:
    """A tree to which leaves are added, of which only the perfect subtrees at its right edge are kept."""

    def __init__(self, size: int = 0, stored: bytes = b"") -> None:
        self.size = size
        self._hashes = [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]
        if len(self._hashes) != size.bit_count() or len(stored) % HASH_BYTES:
            raise ValueError(f"{len(stored)} bytes are no frontier of a tree of {size} leaves")

    @property
    def stored(self) -> bytes:
        """What a frontier is made of again, together with its size."""
        return b"".join(self._hashes)

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return join(self._hashes)

    def add(self, leaf: bytes) -> list[tuple[Subtree, bytes]]:
        """Add a leaf's hash; return the perfect subtrees of more than a leaf that it completes."""
        self._hashes.append(leaf)
        self.size += 1
        made = []
        for height in range(1, (self.size & -self.size).bit_length()):
            right, left = self._hashes.pop(), self._hashes.pop()
            self._hashes.append(node_hash(left, right))
            made.append(((height, (self.size >> height) - 1), self._hashes[-1]))
        return made


def inclusion_ranges(leaf: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that a tree of `size` leaves has this one: PATH of RFC 6962."""
    if not 0 <= leaf < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {leaf}")
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if leaf < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """Return the ranges that prove a tree of `first` leaves the beginning of another: PROOF of RFC 6962."""
    if not 0 < first <= second:
        raise ProofError(f"a tree of {first} leaves is not the beginning of one of {second}")
    start, end, whole, found = 0, second, True, []
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, end))
    return found[::-1]


def prove(ranges: Sequence[Range], stored: Callable[[Subtree], bytes]) -> list[bytes]:
    """Return the hashes of ranges. `stored` gives those of perfect subtrees."""
    return [join([stored(subtree) for subtree in subtrees(*each)]) for each in ranges]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the tree of this size and root has this leaf hash at this index."""
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    number, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise ProofError("the proof has too many hashes")
        if number & 1 or number == last:
            found = node_hash(each, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, each)
        number, last = number >> 1, last >> 1
    if last or found != root:
        raise ProofError("the hashes do not lead to the root")


def check_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise ProofError unless the first tree is the beginning of the second."""
    if first > second:
        raise ProofError(f"a tree of {first} leaves is not the beginning of one of {second}")
    if first in (0, second):
        expected = first_root if first else EMPTY
        if proof or first_root != expected or (first == second and first_root != second_root):
            raise ProofError("the roots of trees of one size differ")
        return
    hashes = list(proof) if first & (first - 1) else [first_root, *proof]
    number, last = first - 1, second - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    if not hashes:
        raise ProofError("the proof has too few hashes")
    old = new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            raise ProofError("the proof has too many hashes")
        if number & 1 or number == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, each)
        number, last = number >> 1, last >> 1
    if last or old != first_root or new != second_root:
        raise ProofError("the hashes do not lead to the roots")


def _split(count: int) -> int:
    """Return the largest power of two that is less than a number of leaves."""
    return 1 << ((count - 1).bit_length() - 1)
