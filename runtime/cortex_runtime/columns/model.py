"""What goes into a cortex and what comes out: settings, operations, outcomes, records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import BITS, MAX_BITS, PAD, WORD_BITS

Bits = npt.NDArray[np.uint16]
ID_BYTES = 16
MAX_HOPS = 3
MAX_TYPE_BYTES = 256
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
    budget: how many postings a query may visit before it is capped.
    edge_budget: how many relationships one hop of a query may follow before it is capped.
    """

    radius: float = 0.6
    winners: int = 5
    join_threshold: float = 0.9
    refractory: int = 64
    budget: int = 100_000
    edge_budget: int = 100_000

    def __post_init__(self) -> None:
        if not (0 <= self.radius <= 1 and 0 < self.join_threshold <= 1):
            raise ValueError(
                f"radius {self.radius} and join_threshold {self.join_threshold} are shares, 0 to 1"
            )
        if self.winners < 1 or self.refractory < 0 or self.budget < 1 or self.edge_budget < 1:
            raise ValueError("winners and the budgets are at least 1, refractory at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """Put a concept: `id` 16 bytes, `bits` uint16[1..40] ascending, `words` how many of them are words."""

    id: bytes
    bits: Bits
    words: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a concept with the relationships from and to it."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Relate:
    """Add a relationship, or set its weight (0, 1]. The target may come later."""

    source: bytes
    target: bytes
    type: str
    weight: float


@dataclass(frozen=True, slots=True)
class Unrelate:
    """Remove a relationship."""

    source: bytes
    target: bytes
    type: str


Operation = Put | Delete | Relate | Unrelate


@dataclass(frozen=True, slots=True, eq=False)
class ConceptRecord:
    """What has to be stored for a concept to restore it and its column (see Cortex.restore).

    id: 16 bytes. column: number. bits: uint16[1..40], those of its *column*. words: of the column.
    operation: the operation by which it came to its column (1 = the cortex's first).
    variant_of: the column that its column was a variant of when it was taken, -1 none.
    """

    id: bytes
    column: int
    bits: Bits
    words: int
    operation: int
    variant_of: int


@dataclass(frozen=True, slots=True)
class RelationshipRecord:
    """What has to be stored for a relationship. `weight` is kept as float32."""

    source: bytes
    target: bytes
    type: str
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one operation.

    operation: its number in the cortex. column: of the concept, None when there is none (any more).
    overlap: similarity 0-1 to the strongest winner. variant_of: -1 none. winners: columns, strongest first.
    record: what to store for a put concept (also when it is "updated": then it is what is stored already).
    """

    kind: OutcomeKind
    operation: int
    column: int | None = None
    overlap: float = 0.0
    variant_of: int = -1
    winners: tuple[int, ...] = ()
    record: ConceptRecord | None = None


class InvalidOperationError(ValueError):
    """An operation that no cortex takes; the message says what is wrong with it."""


def check(operation: Operation) -> None:
    """Raise InvalidOperationError unless an operation is well formed."""
    if isinstance(operation, Put):
        _check_id(operation.id)
        check_bits(operation.bits, operation.words)
    elif isinstance(operation, Delete):
        _check_id(operation.id)
    else:
        _check_id(operation.source)
        _check_id(operation.target)
        if not 0 < len(operation.type.encode("utf-8", "surrogatepass")) <= MAX_TYPE_BYTES:
            raise InvalidOperationError(f"a relationship's type has 1 to {MAX_TYPE_BYTES} bytes in UTF-8")
        if isinstance(operation, Relate) and not (
            0 < operation.weight <= 1 and np.float32(operation.weight) > 0
        ):
            raise InvalidOperationError(f"the weight {operation.weight} is not in (0, 1]")


def check_bits(bits: Bits, words: int) -> None:
    """Raise InvalidOperationError unless bits are uint16[1..40], ascending, and not PAD."""
    if bits.dtype != np.uint16 or bits.ndim != 1 or not 1 <= bits.size <= MAX_BITS:
        raise InvalidOperationError(f"bits are not uint16[1..{MAX_BITS}]: {bits.dtype}{list(bits.shape)}")
    if bits[-1] == PAD or not (bits[1:] > bits[:-1]).all():
        raise InvalidOperationError(f"bits are not ascending below {BITS - 1}")
    if words != bits.searchsorted(_FIRST_GRAM):
        raise InvalidOperationError(f"{words} words are not the number of bits below {WORD_BITS}")


def _check_id(identifier: bytes) -> None:
    if len(identifier) != ID_BYTES:
        raise InvalidOperationError(f"an id has {ID_BYTES} bytes, not {len(identifier)}")
