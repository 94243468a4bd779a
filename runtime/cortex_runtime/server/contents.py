"""The contents of concepts: read from the database, opened, and the hot ones kept."""

from __future__ import annotations

from collections.abc import Collection

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

MAX_CACHED = 10_000  # of a slot
READ_TIMEOUT = 3.0
Stored = tuple[ConceptEntry, int]


class Contents:
    """Reads concepts. Copies are kept with their slot, which throws away what a change touches."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def concepts(
        self, database: Database, slot: Slot, tenant: str, records: Collection[bytes]
    ) -> dict[bytes, Stored]:
        """Return (entry, key version) by record id; what the database does not have is left out.

        Raises Unavailable, CannotOpen or UnknownKey.
        """
        kept = slot.contents
        found = {record: kept[tenant, record] for record in records if (tenant, record) in kept}
        missing = [record for record in records if record not in found]
        if not missing:
            return found
        before = slot.seq
        async with database.connection(READ_TIMEOUT) as connection:
            cursor = await connection.execute(
                "select id, operation, entry from concept where slot = %s and tenant = %s and id = any(%s)",
                [slot.number, tenant, missing], binary=True,
            )  # fmt: skip
            rows = await cursor.fetchall()
        for record, operation, sealed in rows:
            plain = self._directory.unseal(concept_place(tenant, record, operation), sealed)
            found[record] = msgspec.msgpack.decode(plain, type=ConceptEntry), key_version_of(sealed)
            if slot.seq == before:  # else what was read may be older than a change applied meanwhile
                _keep(kept, (tenant, record), found[record])
        return found

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


def _keep(kept: dict[tuple[str, bytes], Stored], key: tuple[str, bytes], stored: Stored) -> None:
    if len(kept) >= MAX_CACHED:
        kept.pop(next(iter(kept)))
    kept[key] = stored
