"""The slots that this node holds: their cortices, and how far into its log each has come."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import structlog

from cortex_runtime.changelog.database import EVERY, Connection, say_about
from cortex_runtime.changelog.entries import ChangeEntry, change_place
from cortex_runtime.changelog.rows import Rows, fetch, stream
from cortex_runtime.changelog.snapshotfile import Origin
from cortex_runtime.changelog.snapshots import Snapshots
from cortex_runtime.columns import (
    Cortex,
    CortexSettings,
    Decisions,
)
from cortex_runtime.objectstore import ObjectStoreError
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen

SETTINGS = CortexSettings()
WORTH_A_SNAPSHOT = 2_000  # operations of a cortex: with fewer, its state is read from the tables as quickly
Row = tuple[Any, ...]
_CHANGES = """
    select seq, token, tenant, cortex, entry, digest from change
    where slot = %s and seq > %s order by seq limit 64
"""
_TAIL = """
    select seq, token, tenant, cortex, entry, digest from change
    where slot = %s and seq > %s and seq <= %s order by seq
"""
log = structlog.get_logger()


@cache
def _empty() -> Cortex:
    return Cortex(SETTINGS)


class Diverged(Exception):
    """What this node applied is no longer in the log, or the log no longer reaches back to it."""


# ValueError: what the log has does not apply. CannotOpen and SnapshotDamagedError are such, too.
_NOT_USED = (Diverged, ValueError, UnknownKey, OSError, ObjectStoreError)


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
    # Who copies its arrays has it, which takes a while, and who changes them, which takes a moment.
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    missing: set[str] = field(default_factory=set)  # tenants left out, since their keys do not open here
    damaged: int = 0  # rows that did not open when it was loaded
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)  # the latest snapshot of each cortex

    def cortex(self, tenant: str, name: str) -> Cortex:
        """Return a cortex, an empty one that is not kept when nothing was ever put in it."""
        return self.cortices.get((tenant, name)) or _empty()

    def apply(self, change: Change, entry: ChangeEntry) -> None:
        """Repeat one change. Raises Diverged when it does not follow on what was applied."""
        if not change.follows(self.seq, self.digest):
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

    def skip(self, change: Change) -> None:
        """Go past a change of a tenant that has left. Raises Diverged as `apply`."""
        if not change.follows(self.seq, self.digest):
            raise Diverged(f"slot {self.number}: {self.seq} is not followed by {change.seq}")
        self.token, self.seq, self.digest = change.token, change.seq, change.digest

    def forget(self, tenant: str) -> None:
        """Let go of all that is here of a tenant that has left."""
        for place in [place for place in self.cortices if place[0] == tenant]:
            del self.cortices[place]
            self.origins.pop(place, None)
        for key in [key for key in self.contents if key[0] == tenant]:
            del self.contents[key]

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

    def follows(self, seq: int, digest: bytes) -> bool:
        """Tell whether it is what came after a position."""
        return self.seq == seq + 1 and self.digest == hashlib.sha256(digest + self.entry).digest()

    def open(self, slot: int, directory: Directory) -> ChangeEntry:
        """Return what is in it. Raises CannotOpen or UnknownKey."""
        place = change_place(self.tenant, self.cortex, slot, self.seq)
        return msgspec.msgpack.decode(directory.unseal(place, self.entry), type=ChangeEntry)


async def catch_up(slot: Slot, connection: Connection, directory: Directory) -> int:
    """Apply what the log has beyond a slot's position, and return how many changes that was.

    Raises Diverged or UnknownKey; the slot then stands at the last change that was good.
    """
    applied = 0
    while True:
        rows = await (await connection.execute(_CHANGES, [slot.number, slot.seq], binary=True)).fetchall()
        for row in rows:
            change = Change(*row)
            if directory.has_left(change.tenant) or change.tenant in slot.missing:
                slot.skip(change)
                continue
            try:
                entry = change.open(slot.number, directory)
            except CannotOpen:  # the tables have what it made, too
                raise Diverged(f"slot {slot.number}: change {change.seq} does not open") from None
            async with slot.changing:
                slot.apply(change, entry)
            await asyncio.sleep(0)
        applied += len(rows)
        if len(rows) < 64:
            return applied


async def load(
    number: int, connection: Connection, directory: Directory, snapshots: Snapshots | None = None
) -> Slot:
    """Read a slot, in one snapshot of the database, from the state tables, or quicker where it can be.

    A cortex that has a snapshot on disk or in the object store comes from there, if it opens and the change
    log goes on from it. A row that does not open is left out, and counted. Raises UnknownKey or KeyringError.
    """
    begun, quick = time.monotonic(), []
    async with connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await say_about(connection, EVERY)
        # Opening entries takes longer than an idle owner is granted.
        await connection.execute("set local idle_in_transaction_session_timeout = '30s'")
        head = await fetch(connection, "select token, seq, digest from slot_head where slot = %s", number)
        token, seq, digest = head[0] if head else (0, 0, b"")
        slot = Slot(number, token, seq, digest)
        cortices = await fetch(
            connection, "select tenant, name, operations from cortex where slot = %s", number
        )
        for tenant, name, operations in cortices:
            if directory.has_left(tenant):
                continue
            if tenant in directory.shut:
                slot.missing.add(tenant)
                continue
            if snapshots is not None and operations >= WORTH_A_SNAPSHOT:
                how = await _restored(slot, connection, directory, snapshots, tenant, name, operations)
                quick += [how] if how else []
            if (tenant, name) not in slot.cortices:
                rows = Rows(connection, directory, number, tenant, name)
                concepts = [one async for one in rows.concepts()]
                edges = [one async for one in rows.relationships()]
                slot.damaged += rows.damaged
                # In a thread: it takes seconds at a million columns, and touches nothing that others have.
                slot.cortices[tenant, name] = await asyncio.to_thread(
                    Cortex.restore, SETTINGS, operations, concepts, edges
                )
    seconds = round(time.monotonic() - begun, 3)
    log.info(
        "slot loaded", slot=number, seq=seq, seconds=seconds, from_tables=len(cortices) - len(quick),
        from_snapshots=quick,
    )  # fmt: skip
    return slot


async def _restored(
    slot: Slot, connection: Connection, directory: Directory, snapshots: Snapshots, tenant: str,
    name: str, operations: int,
) -> str | None:  # fmt: skip
    """Give a slot a cortex from the newest snapshot that can be used; return how, None when there is none.

    Those in the directory come first. One that was opened there is not fetched from the object store.
    """
    opened = set()
    for find, open_one in ((snapshots.here, snapshots.open), (snapshots.stored, snapshots.fetch)):
        try:
            names = await asyncio.to_thread(find, tenant, name)
        except (OSError, ObjectStoreError) as error:
            log.warning("snapshots not found", slot=slot.number, why=str(error))
            continue
        for each in names:
            if each in opened:
                continue
            try:
                origin, cortex = await asyncio.to_thread(open_one, each)
                opened.add(each)
                changes = await _repeat(slot, cortex, origin, operations, connection, directory)
            except _NOT_USED as error:
                log.warning("snapshot not used", slot=slot.number, snapshot=str(each), why=str(error))
            else:
                slot.cortices[tenant, name], slot.origins[tenant, name] = cortex, origin
                return f"{each}, {changes} changes"
    return None


async def _repeat(
    slot: Slot, cortex: Cortex, origin: Origin, operations: int, connection: Connection, directory: Directory
) -> int:
    """Repeat on a cortex what the log has of it between its snapshot and the slot's position.

    Returns how many changes that was. Raises Diverged when the log does not lead from the one to the other.
    """
    seq, digest, applied = origin.seq, origin.digest, 0
    if seq > slot.seq:
        raise Diverged(f"it is of seq {seq}, and the log here ends at {slot.seq}")
    if max(slot.seq - seq, operations - origin.operations) > cortex.concept_count:
        raise Diverged("the log has more since then than the cortex has concepts")
    async for row in stream(connection, _TAIL, slot.number, seq, slot.seq):
        change = Change(*row)
        if not change.follows(seq, digest):
            raise Diverged(f"the log does not go on from seq {seq}")
        seq, digest = change.seq, change.digest
        if (change.tenant, change.cortex) == (origin.tenant, origin.cortex):
            cortex.apply(Decisions.from_bytes(change.open(slot.number, directory).decisions))
            applied += 1
            await asyncio.sleep(0)
    if (seq, digest) != (slot.seq, slot.digest):
        raise Diverged(f"the log leads from its seq {origin.seq} to another end than seq {slot.seq}")
    if cortex.operations != operations:
        raise Diverged(f"it comes to operation {cortex.operations}, and the cortex is at {operations}")
    return applied
