"""What came out of a competition: the only thing that changes a cortex, on its owner and on replicas."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS
from cortex_runtime.columns.model import ID_BYTES, MAX_TAGS, MAX_TYPE_BYTES

_HEADER = struct.Struct("<4sHqIIIIIIH")
_MAGIC = b"CXDC"
_VERSION = 2


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


_TAKE, _DELETE = int(Kind.TAKE), int(Kind.DELETE)


@dataclass(frozen=True, slots=True)
class Placing:
    """TAKE, JOIN, RELEASE or DELETE at an operation; words, variant_of and bits are of a TAKE only."""

    kind: Kind
    operation: int
    id: bytes
    column: int
    words: int = 0
    variant_of: int = -1
    bits: npt.NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, dtype=np.uint16))


@dataclass(frozen=True, slots=True)
class Relating:
    """RELATE or UNRELATE at an operation."""

    kind: Kind
    operation: int
    source: bytes
    target: bytes
    type: str
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Describing:
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
        return cls(
            before, operations,
            kinds=np.array([each.kind for each in placings], dtype=np.uint8),
            steps=np.array([each.operation - before for each in placings], dtype=np.uint32),
            ids=_ids([each.id for each in placings]),
            columns=np.array([each.column for each in placings], dtype=np.int32),
            words=np.array([each.words for each in placings], dtype=np.uint8),
            variant_of=np.array([each.variant_of for each in placings], dtype=np.int32),
            sizes=np.array([each.bits.size for each in placings], dtype=np.uint8),
            bits=np.concatenate([np.zeros(0, dtype=np.uint16), *(each.bits for each in placings)]),
            edge_kinds=np.array([each.kind for each in edges], dtype=np.uint8),
            edge_steps=np.array([each.operation - before for each in edges], dtype=np.uint32),
            sources=_ids([each.source for each in edges]),
            targets=_ids([each.target for each in edges]),
            edge_types=np.array([types[each.type] for each in edges], dtype=np.uint16),
            weights=np.array([each.weight for each in edges], dtype=np.float32),
            trait_steps=np.array([each.operation - before for each in traits], dtype=np.uint32),
            trait_ids=_ids([each.id for each in traits]),
            trait_dimensions=np.array([each.dimension for each in traits], dtype=np.uint16),
            trait_sizes=np.array([len(each.tags) for each in traits], dtype=np.uint16),
            tags=np.array([tag for each in traits for tag in each.tags], dtype=np.uint64),
            types=tuple(types),
        )  # fmt: skip

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
            for name, dtype, *_ in _LAYOUT
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
        for name, dtype, of, each in _LAYOUT:
            if not counts[of]:
                arrays[name] = _NOTHING[name]
                continue
            size = counts[of] * each
            if at + size * dtype.itemsize > len(raw):
                raise MalformedDecisionsError(f"the decisions end within {name}")
            values = np.frombuffer(raw, dtype, size, at)
            arrays[name] = values if each == 1 else values.reshape(counts[of], each)
            at += size * dtype.itemsize
        decisions = cls(before, operations, types=_names(raw, at, types), **arrays)
        _check(decisions)
        return decisions


# Name, type, which of the header's counts (placings, bits, edges, traits, tags) tells how many, numbers each.
_LAYOUT = [
    (name, np.dtype(dtype), of, each)
    for name, dtype, of, each in (
        ("steps", "<u4", 0, 1), ("columns", "<i4", 0, 1), ("variant_of", "<i4", 0, 1), ("kinds", "u1", 0, 1),
        ("words", "u1", 0, 1), ("sizes", "u1", 0, 1), ("ids", "u1", 0, ID_BYTES), ("bits", "<u2", 1, 1),
        ("edge_steps", "<u4", 2, 1), ("weights", "<f4", 2, 1), ("edge_types", "<u2", 2, 1),
        ("edge_kinds", "u1", 2, 1), ("sources", "u1", 2, ID_BYTES), ("targets", "u1", 2, ID_BYTES),
        ("trait_steps", "<u4", 3, 1), ("trait_dimensions", "<u2", 3, 1), ("trait_sizes", "<u2", 3, 1),
        ("trait_ids", "u1", 3, ID_BYTES), ("tags", "<u8", 4, 1),
    )
]  # fmt: skip
_NOTHING = {name: np.zeros((0, each) if each > 1 else 0, dtype=dtype) for name, dtype, _, each in _LAYOUT}


def _ids(ids: list[bytes]) -> npt.NDArray[np.uint8]:
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
    counted = np.add.reduceat(bits < WORD_BITS, ends - sizes, dtype=np.int64)
    _require("bits or words", bits.max() != PAD and ascending.all() and (counted == words).all())


def _check_edges(d: Decisions) -> None:
    relate = d.edge_kinds == Kind.RELATE
    _require("edge_kinds", (relate | (d.edge_kinds == Kind.UNRELATE)).all())
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
