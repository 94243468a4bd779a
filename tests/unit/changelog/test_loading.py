"""A slot comes from a snapshot and the log after it, or else from the tables: on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

from cortex_runtime.changelog import slots
from cortex_runtime.changelog.entries import ChangeEntry, change_place
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.changelog.slots import Slot, load
from cortex_runtime.changelog.snapshotfile import Origin
from cortex_runtime.changelog.snapshots import Name, Snapshots
from cortex_runtime.columns import Cortex, Put
from cortex_runtime.objectstore import DirectoryStore, ObjectStoreError
from cortex_runtime.security.directory import Directory
from unit.changelog.test_snapshots import image_of, keyring, keys, snapshots  # noqa: F401 - fixtures
from unit.columns.worlds import put, texts

SLOT = slot_of("acme", "main")
TEXTS = texts(400, seed=4)


@dataclass
class World:
    """A cortex as its owner has it, and the log and head that the database has of its slot.

    The tables have no concepts of it: so a cortex that has some did not come from there.
    """

    database: psycopg.Connection
    port: int
    keys: Directory
    snapshots: Snapshots
    cortex: Cortex = field(default_factory=Cortex)
    token: int = 1
    seq: int = 0
    digest: bytes = b""
    put: int = 0

    def write(self, count: int = 1, *, cortex: str = "main", size: int = 20) -> None:
        """Append changes of 20 concepts each; those of another cortex of the slot are not kept here."""
        for _ in range(count):
            self.seq += 1
            decisions = self._decide(size) if cortex == "main" else b"of no concern"
            entry = msgspec.msgpack.encode(ChangeEntry(decisions, []))
            sealed = self.keys.seal(change_place("acme", cortex, SLOT, self.seq), entry)
            self.digest = hashlib.sha256(self.digest + sealed).digest()
            self.database.execute(
                "insert into change (slot, seq, token, tenant, cortex, entry, digest)"
                " values (%s, %s, %s, 'acme', %s, %s, %s)",
                [SLOT, self.seq, self.token, cortex, sealed, self.digest],
            )
        self.tell()

    def _decide(self, size: int) -> bytes:
        puts: list[Put] = [put(self.put + n, TEXTS[(self.put + n) % len(TEXTS)]) for n in range(size)]
        self.put += size
        decisions = self.cortex.compete(puts)[1]
        self.cortex.apply(decisions)
        return decisions.to_bytes()

    def tell(self, operations: int | None = None) -> None:
        self.database.execute("delete from slot_head")
        self.database.execute("delete from cortex")
        self.database.execute(
            "insert into slot_head (slot, token, seq, digest) values (%s, %s, %s, %s)",
            [SLOT, self.token, self.seq, self.digest],
        )
        self.database.execute(
            "insert into cortex (slot, tenant, name, operations) values (%s, 'acme', 'main', %s)",
            [SLOT, self.cortex.operations if operations is None else operations],
        )

    def snap(self, **other: Any) -> Name:
        origin = Origin("acme", "main", self.token, self.seq, self.digest, self.cortex.operations, 1)
        origin = replace(origin, **other)
        self.snapshots.write(origin, image_of(self.cortex))
        return Name.of(origin)

    def load(self) -> tuple[Slot, list[Any]]:
        """Load the slot; return it and what was logged."""

        async def run() -> Slot:
            conninfo = f"host=127.0.0.1 port={self.port} user=cortex dbname=cortexkg"
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                return await load(SLOT, connection, self.keys, self.snapshots)

        with capture_logs() as logged:
            slot = asyncio.run(run())
        assert (slot.token, slot.seq, slot.digest) == (self.token, self.seq, self.digest)
        return slot, logged

    def assert_from(self, name: Name, changes: int) -> list[Any]:
        slot, logged = self.load()
        assert slot.cortices["acme", "main"].digest() == self.cortex.digest()
        assert slot.origins["acme", "main"].seq == name.seq
        assert logged[-1]["from_snapshots"] == [f"{name}, {changes} changes"]
        assert logged[-1]["from_tables"] == 0
        return [line["why"] for line in logged[:-1]]

    def assert_from_tables(self) -> list[Any]:
        slot, logged = self.load()
        assert slot.cortices["acme", "main"].concept_count == 0
        assert slot.origins == {}
        assert (logged[-1]["from_snapshots"], logged[-1]["from_tables"]) == ([], 1)
        return [line["why"] for line in logged[:-1]]


@pytest.fixture
def world(
    database: psycopg.Connection, database_port: int, keys: Directory, snapshots: Snapshots,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:  # fmt: skip
    monkeypatch.setattr(slots, "WORTH_A_SNAPSHOT", 1)
    # The application's role may append by the function alone.
    with psycopg.connect(
        f"host=127.0.0.1 port={database_port} user=postgres dbname=cortexkg", autocommit=True
    ) as superuser:
        found = World(superuser, database_port, keys, snapshots)
        found.write(3)
        yield found


def test_a_slot_comes_from_the_newest_snapshot_and_the_log(world: World) -> None:
    world.snap()
    world.write(2)
    newest = world.snap()
    assert world.assert_from(newest, 0) == []
    world.write(3)
    assert world.assert_from(newest, 3) == []
    world.token = 2
    world.write(1)
    assert world.assert_from(newest, 4) == []


def test_changes_of_other_cortices_are_passed_over(world: World) -> None:
    name = world.snap()
    world.write(2, cortex="other")
    world.write(1)
    world.write(1, cortex="other")
    world.assert_from(name, 1)


def test_a_damaged_snapshot_is_passed_over_for_the_one_before_it(world: World, tmp_path: Path) -> None:
    older = world.snap()
    world.write(1)
    path = tmp_path / "here" / str(world.snap())
    path.write_bytes(path.read_bytes()[:-1])
    (why,) = world.assert_from(older, 1)
    assert "its head tells of" in why


def test_without_one_that_opens_the_tables_are_read(world: World, tmp_path: Path) -> None:
    path = tmp_path / "here" / str(world.snap())
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert world.assert_from_tables() == ["the record does not open"]
    path.unlink()
    assert world.assert_from_tables() == []


def test_a_snapshot_that_is_too_old_for_the_log_is_not_used(world: World) -> None:
    world.snapshots.upload(world.snap())  # fetched again it would be the same
    world.write(2)
    world.database.execute("delete from change where seq <= 4")
    assert world.assert_from_tables() == ["the log does not go on from seq 3"]


def test_a_snapshot_of_another_timeline_is_not_used(world: World) -> None:
    world.snap(digest=b"what a ghost had appended")
    assert world.assert_from_tables() == ["the log leads from its seq 3 to another end than seq 3"]
    world.write(1)
    assert world.assert_from_tables() == ["the log does not go on from seq 3"]


def test_a_snapshot_that_is_ahead_of_this_instance_is_not_used(world: World) -> None:
    older = world.snap()
    world.snap(seq=9)
    (why,) = world.assert_from(older, 0)
    assert why == "it is of seq 9, and the log here ends at 3"


def test_a_snapshot_that_misses_operations_is_not_used(world: World) -> None:
    world.snap()
    world.tell(operations=61)
    assert world.assert_from_tables() == ["it comes to operation 60, and the cortex is at 61"]


def test_a_log_that_is_longer_than_the_cortex_is_not_repeated(world: World) -> None:
    world.snap()
    world.write(4)
    (why,) = world.assert_from_tables()
    assert "more since then" in why


def test_a_change_that_does_not_open_leads_to_the_tables(world: World) -> None:
    world.snap()
    world.write(1)
    sealed = world.database.execute("select entry from change where seq = 4").fetchone()
    assert sealed is not None
    broken = sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])
    previous = world.database.execute("select digest from change where seq = 3").fetchone()
    assert previous is not None
    world.digest = hashlib.sha256(previous[0] + broken).digest()
    world.database.execute("update change set entry = %s, digest = %s where seq = 4", [broken, world.digest])
    world.tell()
    assert world.assert_from_tables() == ["the record does not open"]


def test_a_node_without_snapshots_takes_them_from_the_object_store(world: World, tmp_path: Path) -> None:
    name = world.snap()
    world.snapshots.upload(name)
    world.write(1)
    objects = DirectoryStore(tmp_path / "objects")
    world.snapshots = Snapshots(tmp_path / "there", objects, world.keys, slots.SETTINGS)
    world.assert_from(name, 1)
    assert world.snapshots.here("acme", "main") == [name]
    (tmp_path / "there" / str(name)).write_bytes(b"damaged")
    (why,) = world.assert_from(name, 1)
    assert "less than a head" in why
    (tmp_path / "objects" / str(name)).write_bytes(b"damaged")
    (tmp_path / "there" / str(name)).write_bytes(b"damaged")
    assert len(world.assert_from_tables()) == 2


def test_an_object_store_that_fails_leads_to_the_tables(world: World, tmp_path: Path) -> None:
    name = world.snap()
    (tmp_path / "here" / str(name)).unlink()

    class Down(DirectoryStore):
        def names(self, prefix: str) -> list[str]:
            raise ObjectStoreError("the store does not answer")

    world.snapshots = Snapshots(tmp_path / "here", Down(tmp_path), world.keys, slots.SETTINGS)
    assert world.assert_from_tables() == ["the store does not answer"]


def test_a_small_cortex_is_read_from_the_tables(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.snap()
    monkeypatch.setattr(slots, "WORTH_A_SNAPSHOT", 61)
    assert world.assert_from_tables() == []
