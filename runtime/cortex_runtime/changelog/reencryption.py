"""Rows of an older version of a tenant's key, opened and sealed by the active one. Their places stay."""

from __future__ import annotations

from typing import NamedTuple

from cortex_runtime.changelog.database import Connection
from cortex_runtime.changelog.entries import concept_place, relationship_place
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen, Place

ROWS_AT_ONCE = 100
SAMPLE, SPREAD = 100, 2
_COUNT = """
    select coalesce(sum(rows), 0)::bigint from key_rows where tenant = %s and version = %s and part = %s
"""
_SOME_CONCEPTS = """
    select id, operation, entry from concept
    where tenant = %s and key_version = %s and random() < %s limit %s
"""
_SOME_EDGES = """
    select source || type || target, 0, entry from relationship
    where tenant = %s and key_version = %s and random() < %s limit %s
"""


class Row(NamedTuple):
    """A row: its id (16 bytes, or an edge's 48), the operation that wrote it (0 of an edge), its entry."""

    id: bytes
    operation: int
    entry: bytes

    def place(self, tenant: str) -> Place:
        """Return where the entry stands."""
        if len(self.id) == 16:
            return concept_place(tenant, self.id, self.operation)
        return relationship_place(tenant, self.id)


async def fetch_concepts(
    connection: Connection, slot: int, tenant: str, cortex: str, active: int, after: bytes
) -> list[Row]:
    """Return the next concepts of a cortex that are not under the active version, by their ids."""
    cursor = await connection.execute(
        "select id, operation, entry from concept where slot = %s and tenant = %s and cortex = %s and id > %s"
        " and key_version <> %s order by id limit %s",
        [slot, tenant, cortex, after, active, ROWS_AT_ONCE], binary=True,
    )  # fmt: skip
    return [Row(*row) for row in await cursor.fetchall()]


async def fetch_edges(
    connection: Connection, slot: int, tenant: str, cortex: str, active: int, after: bytes
) -> list[Row]:
    """Return the next relationships of a cortex that are not under the active version, by their ids."""
    cursor = await connection.execute(
        "select source || type || target, 0, entry from relationship"
        " where slot = %s and tenant = %s and cortex = %s and (source, type, target) > (%s, %s, %s)"
        " and key_version <> %s order by source, type, target limit %s",
        [slot, tenant, cortex, after[:16], after[16:32], after[32:], active, ROWS_AT_ONCE], binary=True,
    )  # fmt: skip
    return [Row(*row) for row in await cursor.fetchall()]


async def fetch_sample(connection: Connection, tenant: str, version: int) -> list[Row]:
    """Return some of a tenant's rows that a version seals, other ones each time."""
    found = []
    for part, query in (("concept", _SOME_CONCEPTS), ("relationship", _SOME_EDGES)):
        row = await (await connection.execute(_COUNT, [tenant, version, part])).fetchone()
        share = (
            SPREAD * SAMPLE / max(1, row[0] if row else 0)
        )  # of all, so that not always the first are taken
        cursor = await connection.execute(query, [tenant, version, share, SAMPLE], binary=True)
        found += [Row(*row) for row in await cursor.fetchall()]
    return found


def count_opening(directory: Directory, tenant: str, rows: list[Row]) -> int:
    """Return how many rows open."""
    count = 0
    for row in rows:
        try:
            directory.unseal(row.place(tenant), row.entry)
        except (CannotOpen, UnknownKey, KeyringError):
            continue
        count += 1
    return count


def reseal(directory: Directory, tenant: str, rows: list[Row]) -> tuple[list[tuple[Row, bytes]], list[Row]]:
    """Return rows with their entries sealed anew, and those that do not open."""
    anew, damaged = [], []
    for row in rows:
        place = row.place(tenant)
        try:
            plain = directory.unseal(place, row.entry)
        except (CannotOpen, UnknownKey):
            damaged.append(row)
        else:
            anew.append((row, directory.seal(place, plain)))
    return anew, damaged
