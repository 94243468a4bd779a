"""What a tenant may take out, and have erased: GDPR, articles 15, 17 and 20."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message, Scalar
from cortex_runtime.formats.messages.concepts import Relationship

Cursor = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]


class CortexSummary(Message, frozen=True, kw_only=True):
    """A cortex of a tenant."""

    name: str
    concepts: int
    columns: int
    storage: int


class ExportedConcept(Message, omit_defaults=True, frozen=True, kw_only=True):
    """All that is stored of a concept, in the import format as far as that goes.

    A vector is not stored, but what was made of it: `bits`, the active bits of 65,536, and its `dimension`.
    """

    id: str
    text: str | None = None
    properties: dict[str, Any]
    relationships: list[Relationship]
    dimension: int = 0
    bits: list[int] | None = None


class ExportPage(Message, frozen=True, kw_only=True):
    """Some concepts, and after which the next page goes on; null after the last."""

    concepts: list[ExportedConcept]
    after: str | None


class ErasureRequest(Message, frozen=True, kw_only=True):
    """Erase the concepts whose own property (`subject` unless named) has this value; by pages, as export."""

    subject: Scalar
    property: Annotated[str, Meta(min_length=1, max_length=256)] = "subject"
    after: Cursor | None = None


class ErasurePage(Message, frozen=True, kw_only=True):
    """How many concepts of this page were erased, and after which the next goes on; null after the last."""

    erased: int
    after: str | None


decoding.learn(globals())
