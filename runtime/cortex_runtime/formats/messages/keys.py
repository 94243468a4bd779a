"""Versions of data keys."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class KeyVersion(Message, frozen=True, kw_only=True):
    """A version of a tenant's data key. `proven` names the regions that opened its check value.

    `rows` are those of concepts and relationships that it seals; `seals` is how often it has, about.
    """

    version: int
    state: Literal["PENDING", "ACTIVE", "DECRYPT_ONLY", "RETIRING", "DESTROYED"]
    kek_version: int
    created_at: str
    activated_at: str | None
    proven: list[str]
    concepts: int
    rows: int
    seals: int


class LedgerEntry(Message, frozen=True, kw_only=True):
    """How much still needs a version of a tenant's data key.

    `part` is concept, relationship, change, idempotency (rows), snapshot (files of nodes and stores) or
    backup (one that is kept).
    """

    tenant: str
    version: int
    state: str
    part: str
    uses: int


class Verified(Message, frozen=True, kw_only=True):
    """What a region's node opened of a version: its check value, and how many of the rows that it tried."""

    region: str
    version: int
    state: str
    check_value: bool
    tried: int
    opened: int


class RewrapRequest(Message, frozen=True, kw_only=True):
    """By which version of its key-encryption key a tenant's keys are to be wrapped: the keyring's newest."""

    kek_version: Annotated[int, Meta(ge=1)]


class Wrapping(Message, frozen=True, kw_only=True):
    """By which versions of its key-encryption key a tenant's keys are wrapped.

    In this region's database, and in the backups that are kept.
    """

    tenant: str
    region: str
    kek_versions: list[int]
    backups: list[int]


class Rewrapped(Message, frozen=True, kw_only=True):
    """By which version of the key-encryption key a tenant's keys are wrapped now; how many were not."""

    tenant: str
    kek_version: int
    rewrapped: int


decoding.learn(globals())
