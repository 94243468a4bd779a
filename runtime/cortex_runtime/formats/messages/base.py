"""What all messages share: limits, names, the base class."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from cortex_runtime.formats import decoding

MAX_BODY_BYTES = 1 << 20
MAX_BATCH = 1000
MAX_RELATIONSHIPS = 1000
MAX_BUDGET = 10_000
INHERITS = "inherits"  # the type of the relationship from a concept to its parent

# Python's $ also stands before a last newline: hence what follows it.
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$(?!\n)")]
CortexName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$(?!\n)")]
# No control characters, C1 and separators of lines and paragraphs included.
PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
ConceptId = Annotated[str, Meta(min_length=1, max_length=256, pattern=rf"^{PRINTABLE}+$(?!\n)")]
RelationshipType = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^{PRINTABLE}+$(?!\n)")]
Weight = Annotated[float, Meta(ge=1e-6, le=1.0)]
Text = Annotated[str, Meta(min_length=1, max_length=1 << 16)]
Vector = Annotated[list[float], Meta(min_length=1, max_length=65_535)]
Scalar = str | int | float | bool
OneOf = Annotated[list[Scalar], Meta(min_length=1, max_length=1024)]


class Message(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of all messages: immutable, keyword-only, no unknown fields."""


class Position(Message, frozen=True, kw_only=True):
    """A place in a slot's change log. `seq` alone says nothing: a rewound log may use it again."""

    slot: int
    token: int
    seq: int


def encode(message: object) -> bytes:
    """Return the JSON of a message."""
    return msgspec.json.encode(message)


decoding.learn(globals())
