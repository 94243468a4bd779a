"""The contents of concepts: read from the database, opened, and the hot ones kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from cortex_runtime.changelog.database import Database
from cortex_runtime.changelog.entries import (
    ConceptEntry,
    RelationshipEntry,
    concept_place,
    relationship_place,
)
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.envelope import key_version_of
from cortex_runtime.server.errors import RequestError

MAX_CACHED = 10_000  # of a slot
MAX_BYTES = 64 << 20  # of the concepts that one request reads
FETCHED_AT_ONCE = 64
READ_TIMEOUT = 3.0
PAGE_TIMEOUT = 10.0
MAX_PAGE_BYTES = 4 << 20


class Stored(NamedTuple):
    """A concept's entry, the version of the data key it is sealed with, and its size in bytes."""

    entry: ConceptEntry
    key_version: int
    size: int


class Page(NamedTuple):
    """Concepts with their record ids, and after which the next page goes on; None after the last."""

    entries: list[tuple[bytes, ConceptEntry]]
    after: bytes | None


class Contents:
    """Reads concepts. Copies are kept with their slot, which throws away what a change touches."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def concepts(
        self, database: Database, slot: Slot, tenant: str, records: Collection[bytes]
    ) -> dict[bytes, Stored]:
        """Return concepts by record id; what the database does not have is left out.

        Raises Unavailable, CannotOpen, UnknownKey, or RequestError (too_large) before it has read much
        more than 64 MiB.
        """
        kept: dict[tuple[str, bytes], Stored] = slot.contents
        # What an older version of the key sealed when it was read may be re-encrypted by now.
        active = self._directory.active_version(tenant)
        found = {
            record: kept[tenant, record]
            for record in records
            if (tenant, record) in kept and kept[tenant, record].key_version == active
        }
        missing = [record for record in records if record not in found]
        for start in range(0, len(missing), FETCHED_AT_ONCE):
            check_size(found.values())
            found |= await self._fetch(database, slot, tenant, missing[start : start + FETCHED_AT_ONCE])
        check_size(found.values())
        return found

    async def _fetch(
        self, database: Database, slot: Slot, tenant: str, records: list[bytes]
    ) -> dict[bytes, Stored]:
        before, found = slot.seq, {}
        async with database.connection(READ_TIMEOUT) as connection:
            cursor = await connection.execute(
                "select id, operation, entry from concept where slot = %s and tenant = %s and id = any(%s)",
                [slot.number, tenant, records], binary=True,
            )  # fmt: skip
            rows = await cursor.fetchall()
        for record, operation, sealed in rows:
            plain = self._directory.unseal(concept_place(tenant, record, operation), sealed)
            entry = msgspec.msgpack.decode(plain, type=ConceptEntry)
            found[record] = Stored(entry, key_version_of(sealed), len(plain))
            if slot.seq == before:  # else what was read may be older than a change applied meanwhile
                _keep(slot.contents, (tenant, record), found[record])
        return found

    async def page(
        self, database: Database, slot: Slot, tenant: str, cortex: str, after: bytes, count: int
    ) -> Page:
        """Return the next concepts of a cortex by their record ids, at most `count`. Raises as `concepts`."""
        async with database.connection(PAGE_TIMEOUT) as connection:
            cursor = await connection.execute(
                "select id, operation, entry from concept"
                " where slot = %s and tenant = %s and cortex = %s and id > %s order by id limit %s",
                [slot.number, tenant, cortex, after, count], binary=True,
            )  # fmt: skip
            rows = await cursor.fetchall()
        entries, size = [], 0
        for record, operation, sealed in rows:
            plain = self._directory.unseal(concept_place(tenant, record, operation), sealed)
            entries.append((record, msgspec.msgpack.decode(plain, type=ConceptEntry)))
            size += len(plain)
            if size > MAX_PAGE_BYTES:
                break
        ended = len(entries) == len(rows) < count
        return Page(entries, None if ended else entries[-1][0])

    async def relationships(
        self, database: Database, slot: Slot, tenant: str, source: bytes
    ) -> list[RelationshipEntry]:
        """Return the relationships from a concept, by type and target. Raises as `concepts`."""
        async with database.connection(READ_TIMEOUT) as connection:
            cursor = await connection.execute(
                "select type, target, entry from relationship"
                " where slot = %s and tenant = %s and source = %s",
                [slot.number, tenant, source], binary=True,
            )  # fmt: skip
            rows = await cursor.fetchall()
        entries = [
            msgspec.msgpack.decode(
                self._directory.unseal(relationship_place(tenant, source + type_id + target), sealed),
                type=RelationshipEntry,
            )
            for type_id, target, sealed in rows
        ]
        return sorted(entries, key=lambda entry: (entry.type, entry.target))


def check_size(concepts: Iterable[Stored]) -> None:
    """Raise RequestError (too_large) when concepts are more than a request may read or answer with."""
    if sum(concept.size for concept in concepts) > MAX_BYTES:
        raise RequestError(
            "too_large",
            f"The concepts and what they inherit from have more than {MAX_BYTES >> 20} MiB: ask for fewer.",
        )


def _keep(kept: dict[tuple[str, bytes], Stored], key: tuple[str, bytes], stored: Stored) -> None:
    if len(kept) >= MAX_CACHED:
        kept.pop(next(iter(kept)))
    kept[key] = stored
