"""What came out of a competition: the only thing that changes a cortex, on its owner and on replicas."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS
from cortex_runtime.columns.model import ID_BYTES, MAX_TAGS, MAX_TYPE_BYTES

_HEADER = struct.Struct("<4sHqIIIIIIH")
_MAGIC = b"CXDC"
_VERSION = 2
_NO_BITS = np.zeros(0, dtype=np.uint16)


class MalformedDecisionsError(ValueError):
    """The bytes are not decisions of this version."""


class Kind(IntEnum):
    """What a decision does."""

    TAKE = 0  # the concept takes an empty column, which gets its bits
    JOIN = 1  # the concept comes to a column that has concepts
    RELEASE = 2  # the concept leaves its column, to compete anew in the same operation
    DELETE = 3  # the concept leaves its column and is gone, with the relationships from and to it
    RELATE = 4
    UNRELATE = 5


_TAKE, _DELETE, _RELATE, _UNRELATE = map(np.uint8, (Kind.TAKE, Kind.DELETE, Kind.RELATE, Kind.UNRELATE))


class Placing(NamedTuple):
    """TAKE, JOIN, RELEASE or DELETE at an operation; words, variant_of and bits are of a TAKE only."""

    kind: Kind
    operation: int
    id: bytes
    column: int
    words: int = 0
    variant_of: int = -1
    bits: npt.NDArray[np.uint16] = _NO_BITS


class Relating(NamedTuple):
    """RELATE or UNRELATE at an operation."""

    kind: Kind
    operation: int
    source: bytes
    target: bytes
    type: str
    weight: float = 0.0


class Describing(NamedTuple):
    """A concept that is on a column gets these tags and this dimension, in place of those it had."""

    operation: int
    id: bytes
    tags: tuple[int, ...]
    dimension: int


Decision = Placing | Relating | Describing


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decisions as a structure of arrays, in the order of their operations.

    before: operations of the cortex before these. operations: how many these were, those without any effect
    included. For n placings: kinds uint8[n], steps uint32[n] (operation - before, from 1), ids uint8[n, 16],
    columns int32[n], words uint8[n], variant_of int32[n], sizes uint8[n] (bits of a TAKE, else 0), bits
    uint16[sum of sizes]. For m relatings: edge_kinds uint8[m], edge_steps uint32[m], sources and targets
    uint8[m, 16], edge_types uint16[m] (into `types`), weights float32[m]. For t describings (traits):
    trait_steps uint32[t] (at most one an operation), trait_ids uint8[t, 16], trait_dimensions uint16[t],
    trait_sizes uint16[t] (tags of each), tags uint64[sum of trait_sizes], ascending within each.
    What one operation decided is done in this order: placings, describings, relatings.
    """

    before: int
    operations: int
    kinds: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint32]
    ids: npt.NDArray[np.uint8]
    columns: npt.NDArray[np.int32]
    words: npt.NDArray[np.uint8]
    variant_of: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint16]
    edge_kinds: npt.NDArray[np.uint8]
    edge_steps: npt.NDArray[np.uint32]
    sources: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.uint8]
    edge_types: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.float32]
    trait_steps: npt.NDArray[np.uint32]
    trait_ids: npt.NDArray[np.uint8]
    trait_dimensions: npt.NDArray[np.uint16]
    trait_sizes: npt.NDArray[np.uint16]
    tags: npt.NDArray[np.uint64]
    types: tuple[str, ...]

    @classmethod
    def of(cls, before: int, operations: int, decisions: list[Decision]) -> Decisions:
        """Return decisions as arrays."""
        placings = [each for each in decisions if isinstance(each, Placing)]
        edges = [each for each in decisions if isinstance(each, Relating)]
        traits = [each for each in decisions if isinstance(each, Describing)]
        types = {name: index for index, name in enumerate(dict.fromkeys(each.type for each in edges))}
        arrays = dict(_NOTHING)
        if placings:
            arrays |= _placed(before, placings)
        if edges:
            arrays |= _related(before, edges, types)
        if traits:
            arrays |= _described(before, traits)
        return cls(before, operations, types=tuple(types), **arrays)

    def to_bytes(self) -> bytes:
        """Return the bytes that replicas read: the same for the same decisions on every machine."""
        names = b"".join(
            struct.pack("<H", len(raw)) + raw
            for raw in (n.encode("utf-8", "surrogatepass") for n in self.types)
        )
        header = _HEADER.pack(
            _MAGIC, _VERSION, self.before, self.operations, self.kinds.size, self.bits.size,
            self.edge_kinds.size, self.trait_steps.size, self.tags.size, len(self.types),
        )  # fmt: skip
        arrays = [
            np.ascontiguousarray(getattr(self, name)).astype(dtype, copy=False).tobytes()
            for name, dtype, _, _ in _LAYOUT
        ]
        return b"".join([header, *arrays, names])

    @classmethod
    def from_bytes(cls, raw: bytes) -> Decisions:
        """Return the decisions in bytes. Raises MalformedDecisionsError (a ValueError)."""
        if len(raw) < _HEADER.size:
            raise MalformedDecisionsError(f"{len(raw)} bytes are too few for decisions")
        magic, version, before, operations, *counts, types = _HEADER.unpack_from(raw)
        if (magic, version) != (_MAGIC, _VERSION):
            raise MalformedDecisionsError(f"these are not decisions of version {_VERSION}")
        arrays, at = {}, _HEADER.size
        for name, dtype, group, width in _LAYOUT:
            if not counts[group]:
                arrays[name] = _NOTHING[name]
                continue
            size = counts[group] * width
            if at + dtype.itemsize * size > len(raw):
                raise MalformedDecisionsError(f"the decisions end within {name}")
            array = np.frombuffer(raw, dtype, size, at)
            arrays[name] = array if width == 1 else array.reshape(-1, width)
            at += array.nbytes
        decisions = cls(before, operations, types=_names(raw, at, types), **arrays)
        _check(decisions)
        return decisions


# Of each array its name, its type in bytes, which of the header's counts it has, and how many a row.
_PLACINGS, _BITS, _EDGES, _TRAITS, _TAGS = range(5)
_LAYOUT = [
    (name, np.dtype(dtype), group, width)
    for name, dtype, group, width in (
        ("steps", "<u4", _PLACINGS, 1), ("columns", "<i4", _PLACINGS, 1), ("variant_of", "<i4", _PLACINGS, 1),
        ("kinds", "u1", _PLACINGS, 1), ("words", "u1", _PLACINGS, 1), ("sizes", "u1", _PLACINGS, 1),
        ("ids", "u1", _PLACINGS, ID_BYTES), ("bits", "<u2", _BITS, 1),
        ("edge_steps", "<u4", _EDGES, 1), ("weights", "<f4", _EDGES, 1), ("edge_types", "<u2", _EDGES, 1),
        ("edge_kinds", "u1", _EDGES, 1), ("sources", "u1", _EDGES, ID_BYTES),
        ("targets", "u1", _EDGES, ID_BYTES),
        ("trait_steps", "<u4", _TRAITS, 1), ("trait_dimensions", "<u2", _TRAITS, 1),
        ("trait_sizes", "<u2", _TRAITS, 1), ("trait_ids", "u1", _TRAITS, ID_BYTES), ("tags", "<u8", _TAGS, 1),
    )
]  # fmt: skip
_NOTHING = {
    name: np.zeros((0, width) if width > 1 else 0, dtype=dtype.newbyteorder("="))
    for name, dtype, _, width in _LAYOUT
}


def _placed(before: int, placings: list[Placing]) -> dict[str, npt.NDArray[Any]]:
    kinds, operations, ids, columns, words, variant_of, bits = zip(*placings, strict=True)
    return {
        "kinds": _small(kinds), "steps": _steps(before, operations), "ids": _ids(ids),
        "columns": np.array(columns, dtype=np.int32), "words": _small(words),
        "variant_of": np.array(variant_of, dtype=np.int32), "sizes": _small([each.size for each in bits]),
        "bits": np.concatenate(bits),
    }  # fmt: skip


def _related(before: int, edges: list[Relating], types: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    kinds, operations, sources, targets, names, weights = zip(*edges, strict=True)
    return {
        "edge_kinds": _small(kinds), "edge_steps": _steps(before, operations), "sources": _ids(sources),
        "targets": _ids(targets), "edge_types": np.array([types[name] for name in names], dtype=np.uint16),
        "weights": np.array(weights, dtype=np.float32),
    }  # fmt: skip


def _described(before: int, traits: list[Describing]) -> dict[str, npt.NDArray[Any]]:
    operations, ids, tags, dimensions = zip(*traits, strict=True)
    return {
        "trait_steps": _steps(before, operations), "trait_ids": _ids(ids),
        "trait_dimensions": np.array(dimensions, dtype=np.uint16),
        "trait_sizes": np.array([len(each) for each in tags], dtype=np.uint16),
        "tags": np.array(list(chain.from_iterable(tags)), dtype=np.uint64),
    }  # fmt: skip


def _small(numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytearray(numbers), dtype=np.uint8)


def _steps(before: int, operations: Sequence[int]) -> npt.NDArray[np.uint32]:
    return (np.array(operations, dtype=np.int64) - before).astype(np.uint32)


def _ids(ids: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), ID_BYTES)


def _names(raw: bytes, at: int, count: int) -> tuple[str, ...]:
    names = []
    try:
        for _ in range(count):
            (length,) = struct.unpack_from("<H", raw, at)
            name = raw[at + 2 : at + 2 + length]
            if len(name) != length or not 0 < length <= MAX_TYPE_BYTES:
                raise MalformedDecisionsError("a relationship's type is cut off, empty or too long")
            names.append(name.decode("utf-8", "surrogatepass"))
            at += 2 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedDecisionsError("the relationships' types are malformed") from error
    if at != len(raw) or len(set(names)) != len(names):
        raise MalformedDecisionsError("bytes follow the decisions, or a type comes twice")
    return tuple(names)


def _check(d: Decisions) -> None:
    _require("negative number of operations", d.before >= 0)
    _require("number of bits", d.kinds.size > 0 or not d.bits.size)
    _require("trait_sizes", d.trait_steps.size > 0 or not d.tags.size)
    if d.kinds.size:
        _check_placings(d)
    if d.edge_kinds.size:
        _check_edges(d)
    if d.trait_steps.size:
        _check_traits(d)


def _require(name: str, good: bool | np.bool_) -> None:
    if not good:
        raise MalformedDecisionsError(f"impossible values: {name}")


def _check_placings(d: Decisions) -> None:
    take = d.kinds == _TAKE
    _require("kinds", d.kinds.max() <= _DELETE)
    _require("steps", _ascending(d.steps, d.operations))
    _require("columns", d.columns.min() >= 0)
    _require("variant_of", d.variant_of.min() >= -1 and (d.variant_of[~take] == -1).all())
    _require("sizes", (take == (d.sizes > 0)).all() and d.sizes.max() <= MAX_BITS)
    _require("number of bits", int(d.sizes.sum()) == d.bits.size)
    _require("words", (d.words[~take] == 0).all())
    if take.any():
        _check_bits(d.bits, d.sizes[take], d.words[take])


def _check_bits(
    bits: npt.NDArray[np.uint16], sizes: npt.NDArray[np.uint8], words: npt.NDArray[np.uint8]
) -> None:
    """Check the bits of TAKEs, of which each has some: ascending, none of them PAD, so many of them words."""
    ends = np.cumsum(sizes, dtype=np.int64)
    ascending = bits[1:] > bits[:-1]
    ascending[ends[:-1] - 1] = True  # from one column's bits to the next one's
    of_words = (bits < WORD_BITS).view(np.uint8)
    counted = np.add.reduceat(of_words, ends - sizes, dtype=np.uint8)
    _require("bits or words", bits.max() != PAD and ascending.all() and (counted == words).all())


def _check_edges(d: Decisions) -> None:
    relate = d.edge_kinds == _RELATE
    _require("edge_kinds", (relate | (d.edge_kinds == _UNRELATE)).all())
    _require("edge_steps", _ascending(d.edge_steps, d.operations))
    weights = np.where(relate, (d.weights > 0) & (d.weights <= 1), d.weights == 0)
    _require("weights or edge_types", weights.all() and d.edge_types.max() < len(d.types))


def _check_traits(d: Decisions) -> None:
    _require("trait_steps", _ascending(d.trait_steps, d.operations) and np.diff(d.trait_steps).all())
    _require("trait_sizes", d.trait_sizes.max() <= MAX_TAGS and int(d.trait_sizes.sum()) == d.tags.size)
    owners = np.repeat(np.arange(d.trait_sizes.size), d.trait_sizes)
    _require("tags", ((d.tags[1:] > d.tags[:-1]) | (owners[1:] != owners[:-1])).all())


def _ascending(steps: npt.NDArray[np.uint32], operations: int) -> bool:
    """Tell whether steps, of which there are some, ascend from 1 to the number of operations at most."""
    return bool(steps[0] >= 1 and steps[-1] <= operations and (steps[1:] >= steps[:-1]).all())
