"""What is inside the sealed entries: of a concept, of a relationship, of a change."""

from __future__ import annotations

from typing import Any

import msgspec

from cortex_runtime.formats import decoding
from cortex_runtime.security.envelope import Place


class ConceptEntry(msgspec.Struct, array_like=True, frozen=True):
    """A concept: what the client gave, and what restores its column.

    `bits` are the active bits of its column as uint16, little-endian. `dimension` is the length of the
    vector that was given, 0 for none; then there may be no text.
    """

    id: str
    text: str | None
    properties: dict[str, Any]
    column: int
    operation: int
    bits: bytes
    words: int
    variant_of: int
    dimension: int = 0


class RelationshipEntry(msgspec.Struct, array_like=True, frozen=True):
    """An edge by the names that the client gave."""

    source: str
    type: str
    target: str
    weight: float


class ChangeEntry(msgspec.Struct, array_like=True, frozen=True):
    """What replicas repeat: the decisions about columns, and the concepts whose content is new."""

    decisions: bytes
    touched: list[bytes]


def concept_place(tenant: str, record: bytes, operation: int) -> Place:
    """Return where a concept's entry stands; its version is the operation that wrote it."""
    return Place(tenant, "concept", record, version=operation)


def relationship_place(tenant: str, edge: bytes) -> Place:
    """Return where a relationship's entry stands; `edge` is source, type and target, 16 bytes each."""
    return Place(tenant, "relationship", edge)


def change_place(tenant: str, cortex: str, slot: int, seq: int) -> Place:
    """Return where a change's entry stands."""
    return Place(tenant, "change", f"{slot}/{cortex}".encode(), version=seq)


def answer_place(tenant: str, key: bytes) -> Place:
    """Return where the answer kept for an idempotency key stands."""
    return Place(tenant, "idempotency", key, "answer")


decoding.learn(globals())
