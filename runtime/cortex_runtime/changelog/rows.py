"""The rows of a cortex, read and opened. One that does not open must not hold up the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import numpy as np
import structlog

from cortex_runtime.changelog.database import Connection
from cortex_runtime.changelog.entries import (
    ConceptEntry,
    RelationshipEntry,
    concept_place,
    relationship_place,
)
from cortex_runtime.columns import ConceptRecord, RelationshipRecord, tags_of
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen, Place, key_version_of

FETCH_ROWS = 200
Row = tuple[Any, ...]
_CONCEPTS = "select id, operation, entry from concept where slot = %s and tenant = %s and cortex = %s"
_EDGES = (
    "select source, type, target, entry from relationship where slot = %s and tenant = %s and cortex = %s"
)
_VERSIONS = "select version from data_key where tenant = %s and state <> 'DESTROYED'"
log = structlog.get_logger()


class Rows:
    """Reads a cortex in the transaction of a connection. `damaged` counts the rows that do not open."""

    def __init__(
        self, connection: Connection, directory: Directory, slot: int, tenant: str, cortex: str
    ) -> None:
        self._connection, self._directory = connection, directory
        self._of = slot, tenant, cortex
        self._tenant = tenant
        self._versions: set[int] | None = None
        self._left_out: set[bytes] = set()
        self.damaged = 0

    async def concepts(self) -> AsyncIterator[ConceptRecord]:
        """Yield the concepts. Raises UnknownKey or KeyringError."""
        async for record, operation, sealed in stream(self._connection, _CONCEPTS, *self._of):
            plain = await self._open(concept_place(self._tenant, record, operation), sealed)
            if plain is None:
                self._left_out.add(record)
                continue
            entry = msgspec.msgpack.decode(plain, type=ConceptEntry)
            yield ConceptRecord(
                id=record, column=entry.column, bits=np.frombuffer(entry.bits, dtype="<u2"),
                words=entry.words, operation=entry.operation, variant_of=entry.variant_of,
                tags=tags_of(entry.properties), dimension=entry.dimension,
            )  # fmt: skip

    async def relationships(self) -> AsyncIterator[RelationshipRecord]:
        """Yield the relationships, after the concepts: of those left out there are none.

        Raises UnknownKey or KeyringError.
        """
        async for source, type_id, target, sealed in stream(self._connection, _EDGES, *self._of):
            if source in self._left_out:
                continue
            plain = await self._open(relationship_place(self._tenant, source + type_id + target), sealed)
            if plain is None:
                continue
            entry = msgspec.msgpack.decode(plain, type=RelationshipEntry)
            yield RelationshipRecord(source=source, target=target, type=entry.type, weight=entry.weight)

    async def _open(self, place: Place, sealed: bytes) -> bytes | None:
        """Return what is in a row, None when it is damaged. Raises UnknownKey of one that is new."""
        try:
            return self._directory.unseal(place, sealed)
        except CannotOpen as error:
            why = str(error)
        except UnknownKey as error:
            if key_version_of(sealed) in await self._existing():
                raise
            why = str(error)
        self.damaged += 1
        log.error(
            "row does not open", table=place.table, tenant=place.tenant, record=place.record.hex(), why=why
        )
        return None

    async def _existing(self) -> set[int]:
        if self._versions is None:
            self._versions = {row[0] for row in await fetch(self._connection, _VERSIONS, self._tenant)}
        return self._versions


async def stream(connection: Connection, query: str, *parameters: object) -> AsyncIterator[Row]:
    """Yield the rows of a query, some at a time."""
    async with connection.cursor("load", binary=True) as cursor:
        await cursor.execute(query, parameters)
        while rows := await cursor.fetchmany(FETCH_ROWS):
            for row in rows:
                yield row


async def fetch(connection: Connection, query: str, *parameters: object) -> list[Row]:
    """Return the rows of a query."""
    return await (await connection.execute(query, parameters, binary=True)).fetchall()
