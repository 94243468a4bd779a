"""What goes into a cortex and what comes out: settings, operations, outcomes, records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import MAX_BITS, PAD, WORD_BITS

Bits = npt.NDArray[np.uint16]
ID_BYTES = 16
MAX_HOPS = 3
MAX_K = 1000
MAX_UNITS = 1 << 40  # of a query's budget
MAX_TYPES = 4096  # of relationships, that a cortex knows
MAX_TYPE_BYTES = 256
MAX_COLUMNS = 1 << 31
MAX_TAGS = 1024
MAX_GROUPS = 16
MAX_DIMENSION = 65_535
INHERITS = "inherits"  # the type of the relationship from a concept to the one whose properties it has too
NEAR_DUPLICATE = "near-duplicate"  # of the relationships that consolidation makes: nothing spreads over them
MAX_ANCESTORS = 16
KEY_SHIFT = 40  # a tag is the hash of a property's key above this bit, the hash of its value below
_END_OF_TAGS = 1 << 64
_FIRST_GRAM = np.uint16(WORD_BITS)
OutcomeKind = Literal["allocated", "joined", "updated", "deleted", "related", "unrelated", "absent"]


@dataclass(frozen=True, slots=True)
class CortexSettings:
    """How columns compete. All replicas of a cortex have the same settings.

    radius: weighted Jaccard similarity (0-1) from which a weaker candidate is suppressed, and a new column is
        a variant of the winner. 0 switches inhibition off.
    winners: how many candidates stay.
    join_threshold: similarity (0-1] from which a concept joins the strongest winner.
    refractory: for so many operations of its cortex a winner is not freed, merged or taken.
    budget: what a query may cost, in units of 1,024 elementary steps (see querying.query).
    capacity: how many columns there may be. quota: how many concepts, None for any number.
    """

    radius: float = 0.6
    winners: int = 5
    join_threshold: float = 0.9
    refractory: int = 64
    budget: int = 1_000
    capacity: int = 4_194_304
    quota: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.radius <= 1 and 0 < self.join_threshold <= 1):
            raise ValueError(
                f"radius {self.radius} and join_threshold {self.join_threshold} are shares, 0 to 1"
            )
        for name, least, most in (
            ("winners", 1, MAX_COLUMNS), ("budget", 1, MAX_UNITS), ("refractory", 0, MAX_COLUMNS),
        ):  # fmt: skip
            if not is_whole(value := getattr(self, name), least, most):
                raise ValueError(f"{name} {value!r} is not a whole number from {least} to {most}")
        if not 1 <= self.capacity <= MAX_COLUMNS:
            raise ValueError(f"capacity {self.capacity} is at least 1 and at most {MAX_COLUMNS}")
        if self.quota is not None and self.quota < 0:
            raise ValueError(f"quota {self.quota} is at least 0, or None")


class Put(msgspec.Struct, frozen=True, eq=False):
    """Put a concept: `id` 16 bytes, `bits` uint16[1..40] ascending, `words` how many of them are words.

    tags: its own properties, in place of those it had: at most 1,024 numbers of 64 bits, ascending. Of each
    the upper 24 bits are the hash of a key and the lower 40 that of a value; value 0 is an exception, by
    which the concept does not have what it would inherit.
    dimension: length (1-65,535) of the vector that the bits came from, 0 for a text.
    """

    id: bytes
    bits: Bits
    words: int
    tags: tuple[int, ...] = ()
    dimension: int = 0


class Delete(msgspec.Struct, frozen=True):
    """Delete a concept with the relationships from and to it."""

    id: bytes


class Relate(msgspec.Struct, frozen=True):
    """Add a relationship, or set its weight (0, 1]. With `pending` the target may come later.

    The type INHERITS makes the target the source's parent, instead of the one it had.
    """

    source: bytes
    target: bytes
    type: str
    weight: float
    pending: bool = False


class Unrelate(msgspec.Struct, frozen=True):
    """Remove a relationship."""

    source: bytes
    target: bytes
    type: str


Operation = Put | Delete | Relate | Unrelate


class ConceptRecord(msgspec.Struct, frozen=True, eq=False):
    """What has to be stored for a concept to restore it and its column (see Cortex.restore).

    id: 16 bytes. column: number. bits: uint16[1..40], those of its *column*. words: of the column.
    operation: the operation by which it came to its column (1 = the cortex's first).
    variant_of: the column that its column was a variant of when it was taken, -1 none.
    tags, dimension: those of its latest put.
    """

    id: bytes
    column: int
    bits: Bits
    words: int
    operation: int
    variant_of: int
    tags: tuple[int, ...] = ()
    dimension: int = 0


class RelationshipRecord(msgspec.Struct, frozen=True):
    """What has to be stored for a relationship. `weight` is kept as float32."""

    source: bytes
    target: bytes
    type: str
    weight: float


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """What became of one operation.

    operation: its number in the cortex. column: of the concept, None when there is none (any more).
    overlap: similarity 0-1 to the strongest winner. variant_of: -1 none. winners: columns, strongest first.
    record: what to store for a put concept. When it is "updated" only its tags and its dimension may differ
        from what is stored already.
    replaced: the parent that a new one took the place of: that relationship is not there any more.
    """

    kind: OutcomeKind
    operation: int
    column: int | None = None
    overlap: float = 0.0
    variant_of: int = -1
    winners: tuple[int, ...] = ()
    record: ConceptRecord | None = None
    replaced: bytes | None = None


class InvalidOperationError(ValueError):
    """An operation that the cortex does not take; the message says what is wrong with it."""


class CapacityError(InvalidOperationError):
    """The concept needs a column, and the cortex has as many as it may have."""


class QuotaError(InvalidOperationError):
    """There are as many concepts as there may be, and this would be one more."""

    def __init__(self, quota: int, identifier: bytes) -> None:
        super().__init__(
            f"Concept {identifier.hex()} would be one more than the {quota} that the quota allows. Delete"
            " concepts, or raise the quota."
        )
        self.quota, self.identifier = quota, identifier


class DimensionError(InvalidOperationError):
    """The vector is of another length than those of the cortex' other concepts."""


class CycleError(InvalidOperationError):
    """With this parent a concept would inherit from itself, or another one from too many.

    chain: ids, the concept first, then the parent and whom it inherits from.
    """

    def __init__(self, why: str, chain: tuple[bytes, ...]) -> None:
        names = " -> ".join(identifier.hex() for identifier in chain)
        super().__init__(f"{why}: {names}. Choose another parent.")
        self.chain = chain


class UnknownConceptError(InvalidOperationError):
    """The target of a relationship is not there, and it may not come later."""

    def __init__(self, identifier: bytes) -> None:
        super().__init__(f"There is no concept {identifier.hex()} to relate to. Put it first.")
        self.identifier = identifier


class TooManyTypesError(InvalidOperationError):
    """A relationship of another type, and the cortex knows as many as it may."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A cortex knows at most {MAX_TYPES} types of relationships, and {name!r} would be another one."
            " Use one that there is, and put what differs into properties."
        )


class InvalidQueryError(ValueError):
    """A query that no cortex answers; the message says what is wrong with it."""


class QueryTooComplexError(ValueError):
    """The query would cost more than it may. Both `cost` and `budget` are in units of 1,024 steps."""

    def __init__(self, cost: int, budget: int) -> None:
        super().__init__(
            f"The query would cost {cost} units, and its budget is {budget}: ask with rarer words, narrower"
            " properties, a smaller k or fewer hops, raise the budget, or let the query be capped."
        )
        self.cost, self.budget = cost, budget


def is_whole(value: object, least: int, most: int) -> bool:
    """Tell whether a value is a whole number in a range."""
    return isinstance(value, int | np.integer) and bool(least <= value <= most)


def check(operation: Operation) -> None:
    """Raise InvalidOperationError unless an operation is well formed."""
    if isinstance(operation, Put):
        _check_id(operation.id)
        check_bits(operation.bits, operation.words)
        check_traits(operation.tags, operation.dimension)
    elif isinstance(operation, Delete):
        _check_id(operation.id)
    elif isinstance(operation, Relate | Unrelate):
        _check_id(operation.source)
        _check_id(operation.target)
        _check_type(operation.type)
        if isinstance(operation, Relate):
            _check_weight(operation.weight)
    else:
        raise InvalidOperationError(f"{operation!r:.80} is no operation")


def _check_type(name: str) -> None:
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "surrogatepass")) <= MAX_TYPE_BYTES:
        raise InvalidOperationError(
            f"a relationship's type has 1 to {MAX_TYPE_BYTES} bytes in UTF-8: {name!r:.80}"
        )


def _check_weight(weight: float) -> None:
    number = isinstance(weight, int | float | np.integer | np.floating)
    if not number or not (0 < weight <= 1 and np.float32(weight) > 0):
        raise InvalidOperationError(f"the weight {weight!r:.80} is not in (0, 1]")


def fault_of_bits(bits: object, least: int) -> str:
    """Return what is wrong with bits that are to be uint16[least..40], ascending, and not PAD; "" nothing."""
    if not isinstance(bits, np.ndarray):
        return f"bits are not uint16[{least}..{MAX_BITS}]: {bits!r:.80}"
    if bits.dtype != np.uint16 or bits.ndim != 1 or not least <= bits.size <= MAX_BITS:
        return f"bits are not uint16[{least}..{MAX_BITS}]: {bits.dtype}{list(bits.shape)}"
    if bits.size and (bits[-1] == PAD or np.count_nonzero(bits[1:] > bits[:-1]) < bits.size - 1):
        return f"bits are not ascending below {PAD}: {bits.tolist()}"
    return ""


def check_bits(bits: Bits, words: int) -> None:
    """Raise InvalidOperationError unless bits are uint16[1..40], ascending, and not PAD."""
    if fault := fault_of_bits(bits, 1):
        raise InvalidOperationError(fault)
    if not is_whole(words, 0, MAX_BITS) or words != bits.searchsorted(_FIRST_GRAM):
        raise InvalidOperationError(f"{words} words are not the number of bits below {WORD_BITS}")


def well_formed(puts: Sequence[Put]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return bits uint16[n, 40], padded, and words uint8[n] of puts, up to the first that `check` refuses."""
    rows = np.full((len(puts), MAX_BITS), PAD, dtype=np.uint16)
    sizes: list[int] = []
    words: list[int] = []
    for row, put in zip(rows, puts, strict=True):
        bits = put.bits
        if not has_id(put) or not isinstance(bits, np.ndarray):
            break
        if bits.dtype != np.uint16 or bits.ndim != 1 or bits.size > MAX_BITS:
            break
        if not is_whole(put.words, 0, MAX_BITS):
            break
        if (put.tags or put.dimension) and not _has_traits(put):
            break
        row[: bits.size] = bits
        sizes.append(bits.size)
        words.append(put.words)
    rows = rows[: len(sizes)]
    good = (rows != PAD).sum(axis=1) == sizes
    good &= rows[:, 0] != PAD
    good &= ((rows[:, 1:] > rows[:, :-1]) | (rows[:, 1:] == PAD)).all(axis=1)
    good &= (rows < WORD_BITS).sum(axis=1) == words
    count = len(sizes) if good.all() else int(good.argmin())
    return rows[:count], np.array(words[:count], dtype=np.uint8)


def has_id(put: Put) -> bool:
    """Tell whether a put's id is one."""
    return isinstance(put.id, bytes) and len(put.id) == ID_BYTES


def _has_traits(put: Put) -> bool:
    try:
        check_traits(put.tags, put.dimension)
    except InvalidOperationError:
        return False
    return True


def check_traits(tags: tuple[int, ...], dimension: int) -> None:
    """Raise InvalidOperationError unless tags are ascending numbers of 64 bits, and the dimension of 16."""
    if len(tags) > MAX_TAGS:
        raise InvalidOperationError(f"a concept has at most {MAX_TAGS} tags, not {len(tags)}")
    before = -1
    for tag in tags:
        if not isinstance(tag, int) or not before < tag < _END_OF_TAGS:
            raise InvalidOperationError(
                f"tags are whole numbers, ascending, below 2**64: {tag!r} does not follow {before}"
            )
        before = tag
    if not is_whole(dimension, 0, MAX_DIMENSION):
        raise InvalidOperationError(f"the dimension {dimension!r} is not whole, 0 to {MAX_DIMENSION}")


def _check_id(identifier: bytes) -> None:
    if not isinstance(identifier, bytes):
        raise InvalidOperationError(f"an id has {ID_BYTES} bytes, and is not {identifier!r:.80}")
    if len(identifier) != ID_BYTES:
        raise InvalidOperationError(
            f"an id has {ID_BYTES} bytes, not {len(identifier)}: {identifier[: 2 * ID_BYTES].hex()}"
        )
