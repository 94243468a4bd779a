"""The slots that this node holds: their cortices, and how far into its log each has come."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from cortex_runtime.changelog.database import Connection
from cortex_runtime.changelog.entries import (
    ChangeEntry,
    ConceptEntry,
    RelationshipEntry,
    change_place,
    concept_place,
    relationship_place,
)
from cortex_runtime.columns import (
    ConceptRecord,
    Cortex,
    CortexSettings,
    Decisions,
    RelationshipRecord,
    tags_of,
)
from cortex_runtime.security.directory import Directory

SETTINGS = CortexSettings()
EMPTY = Cortex(SETTINGS)
FETCH_ROWS = 200
Row = tuple[Any, ...]
_CHANGES = """
    select seq, token, tenant, cortex, entry, digest from change
    where slot = %s and seq > %s order by seq limit 64
"""


class Diverged(Exception):
    """What this node applied is no longer in the log, or the log no longer reaches back to it."""


@dataclass(slots=True)
class Slot:
    """One slot's cortices at a position of its log. Only `apply` moves it."""

    number: int
    token: int = 0
    seq: int = 0
    digest: bytes = b""
    cortices: dict[tuple[str, str], Cortex] = field(default_factory=dict)
    local_seq: int = 0  # how far this region's own database instance has come, as last seen
    contents: dict[tuple[str, bytes], Any] = field(default_factory=dict)  # copies; a new Slot has none
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def cortex(self, tenant: str, name: str) -> Cortex:
        """Return a cortex, an empty one that is not kept when nothing was ever put in it."""
        return self.cortices.get((tenant, name), EMPTY)

    def apply(self, change: Change, entry: ChangeEntry) -> None:
        """Repeat one change. Raises Diverged when it does not follow on what was applied."""
        chained = hashlib.sha256(self.digest + change.entry).digest()
        if change.seq != self.seq + 1 or chained != change.digest:
            raise Diverged(f"slot {self.number}: {self.seq} is not followed by {change.seq}")
        cortex = self.cortices.get((change.tenant, change.cortex)) or Cortex(SETTINGS)
        try:
            cortex.apply(Decisions.from_bytes(entry.decisions))
        except ValueError as error:
            raise Diverged(f"slot {self.number}: change {change.seq} does not apply: {error}") from error
        self.cortices[change.tenant, change.cortex] = cortex
        for record in entry.touched:
            self.contents.pop((change.tenant, record), None)
        self.token, self.seq, self.digest = change.token, change.seq, change.digest
        self.moved.set()
        self.moved = asyncio.Event()

    def reached(self, token: int, seq: int) -> bool:
        """Tell whether everything up to a position is applied."""
        return self.seq >= seq and self.token >= token

    def hash(self) -> str:
        """Return the hash of the slot's arrays, the same on every replica at the same position."""
        state = hashlib.blake2b(digest_size=16)
        for tenant, name in sorted(self.cortices):
            state.update(f"{tenant}/{name}\0".encode() + self.cortices[tenant, name].digest())
        return state.hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the log."""

    seq: int
    token: int
    tenant: str
    cortex: str
    entry: bytes
    digest: bytes


async def catch_up(slot: Slot, connection: Connection, directory: Directory) -> int:
    """Apply what the log has beyond a slot's position, and return how many changes that was.

    Raises Diverged, CannotOpen or UnknownKey; the slot then stands at the last change that was good.
    """
    applied = 0
    while True:
        rows = await (await connection.execute(_CHANGES, [slot.number, slot.seq], binary=True)).fetchall()
        for row in rows:
            change = Change(*row)
            place = change_place(change.tenant, change.cortex, slot.number, change.seq)
            entry = msgspec.msgpack.decode(directory.unseal(place, change.entry), type=ChangeEntry)
            slot.apply(change, entry)
            await asyncio.sleep(0)
        applied += len(rows)
        if len(rows) < 64:
            return applied


async def load(number: int, connection: Connection, directory: Directory) -> Slot:
    """Read a slot from the state tables in one snapshot. Raises CannotOpen or UnknownKey."""
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        # Opening entries takes longer than an idle owner is granted.
        await connection.execute("set local idle_in_transaction_session_timeout = '30s'")
        head = await _fetch(connection, "select token, seq, digest from slot_head where slot = %s", number)
        token, seq, digest = head[0] if head else (0, 0, b"")
        slot = Slot(number, token, seq, digest)
        cortices = await _fetch(
            connection, "select tenant, name, operations from cortex where slot = %s", number
        )
        for tenant, name, operations in cortices:
            concepts = [one async for one in _concepts(connection, directory, number, tenant, name)]
            edges = [one async for one in _relationships(connection, directory, number, tenant, name)]
            # In a thread: it takes seconds at a million columns, and touches nothing that others have.
            slot.cortices[tenant, name] = await asyncio.to_thread(
                Cortex.restore, SETTINGS, operations, concepts, edges
            )
    return slot


async def _concepts(
    connection: Connection, directory: Directory, slot: int, tenant: str, cortex: str
) -> AsyncIterator[ConceptRecord]:
    query = "select id, operation, entry from concept where slot = %s and tenant = %s and cortex = %s"
    async for record, operation, sealed in _stream(connection, query, slot, tenant, cortex):
        plain = directory.unseal(concept_place(tenant, record, operation), sealed)
        entry = msgspec.msgpack.decode(plain, type=ConceptEntry)
        yield ConceptRecord(
            id=record, column=entry.column, bits=np.frombuffer(entry.bits, dtype="<u2"), words=entry.words,
            operation=entry.operation, variant_of=entry.variant_of,
            tags=tags_of(entry.properties), dimension=entry.dimension,
        )  # fmt: skip


async def _relationships(
    connection: Connection, directory: Directory, slot: int, tenant: str, cortex: str
) -> AsyncIterator[RelationshipRecord]:
    query = (
        "select source, type, target, entry from relationship where slot = %s and tenant = %s and cortex = %s"
    )
    async for source, type_id, target, sealed in _stream(connection, query, slot, tenant, cortex):
        plain = directory.unseal(relationship_place(tenant, source + type_id + target), sealed)
        entry = msgspec.msgpack.decode(plain, type=RelationshipEntry)
        yield RelationshipRecord(source=source, target=target, type=entry.type, weight=entry.weight)


async def _stream(connection: Connection, query: str, *parameters: object) -> AsyncIterator[Row]:
    async with connection.cursor("load", binary=True) as cursor:
        await cursor.execute(query, parameters)
        while rows := await cursor.fetchmany(FETCH_ROWS):
            for row in rows:
                yield row


async def _fetch(connection: Connection, query: str, *parameters: object) -> list[Row]:
    return await (await connection.execute(query, parameters, binary=True)).fetchall()
