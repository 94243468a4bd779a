"""The erasure list outside of the database: what is restored from an older backup is held against it.

In an object store, under names that are written once; without content, and without any name of a concept:

    erasures/TENANT/CORTEX/OPERATION   record ids that an operation has erased, in hexadecimal, a line each
    departures/TENANT                  a tenant that has left

Calls block.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from cortex_runtime.changelog.migrate import DATABASE
from cortex_runtime.objectstore import ObjectStore

ERASURES, DEPARTURES = "erasures/", "departures/"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What one operation of a cortex has erased: record ids (16 bytes each)."""

    tenant: str
    cortex: str
    operation: int
    ids: Sequence[bytes]

    @property
    def name(self) -> str:
        """Its object's name."""
        return f"{ERASURES}{self.tenant}/{self.cortex}/{self.operation}"

    @property
    def content(self) -> bytes:
        """What stands in it."""
        return "".join(f"{id_.hex()}\n" for id_ in self.ids).encode()


@dataclass(frozen=True, slots=True)
class Departure:
    """A tenant that has left; of its cortices this one tells who writes it down."""

    tenant: str
    cortex: str = "main"
    content: bytes = b""

    @property
    def name(self) -> str:
        """Its object's name."""
        return f"{DEPARTURES}{self.tenant}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has removed: concepts that had been erased, rows of tenants that had left."""

    concepts: int
    rows: int


def keep(store: ObjectStore, entry: Erasure | Departure) -> None:
    """Copy an entry of the list into a store, unless it is there. Raises ObjectStoreError."""
    store.create(entry.name, entry.content)


def names(store: ObjectStore) -> set[str]:
    """Return the names of all entries of a store. Raises ObjectStoreError."""
    return {*store.names(ERASURES), *store.names(DEPARTURES)}


def replay(conninfo: str, stores: Sequence[ObjectStore]) -> Replayed:
    """Erase in a restored database all that the stores' lists have. May be repeated.

    `conninfo` is a libpq connection string of a superuser. It is done, or nothing is. Raises psycopg.Error,
    ObjectStoreError, or ValueError when a list is damaged.
    """
    concepts = rows = 0
    with psycopg.connect(conninfo, dbname=DATABASE) as connection:
        connection.execute("set local synchronous_commit = local")  # there may be no standby yet
        connection.execute("set local cortexkg.tenant = '*'")
        for store in stores:
            for tenant in store.names(DEPARTURES):
                rows += _count(connection, "replay_leaving(%s)", tenant.removeprefix(DEPARTURES))
            for each in kept(store):
                concepts += _count(
                    connection, "replay_erasure(%s, %s, %s, %s)",
                    each.tenant, each.cortex, each.operation, list(each.ids),
                )  # fmt: skip
    return Replayed(concepts, rows)


def kept(store: ObjectStore) -> Iterator[Erasure]:
    """Yield the erasures of a store. Raises ObjectStoreError, or ValueError of one that is damaged."""
    for name in store.names(ERASURES):
        tenant, cortex, operation = name.removeprefix(ERASURES).split("/")
        with tempfile.TemporaryFile() as file:
            store.get(name, file.fileno())
            file.seek(0)
            ids = [bytes.fromhex(line.decode()) for line in file.read().splitlines()]
        if any(len(id_) != 16 for id_ in ids):
            raise ValueError(f"{name} is damaged: a record id has 16 bytes")
        yield Erasure(tenant, cortex, int(operation), ids)


def _count(connection: psycopg.Connection, call: str, *parameters: object) -> int:
    row = connection.execute(f"select {call}", parameters).fetchone()
    return row[0] if row else 0
