"""What was erased stays so when a backup from before that is restored: the list of erasures is replayed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cortex_runtime.changelog import erasures
from cortex_runtime.changelog.erasures import Departure, Erasure
from cortex_runtime.objectstore import DirectoryStore
from unit import postgres
from unit.server.node import Node

CORTEX, OTHER = "list", "list-other"


def rows(port: int, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=cortexkg") as connection:
        return connection.execute(query, parameters).fetchall()


def replay(port: int, *stores: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "cortex_runtime.main", "replay-erasures"]
    database = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    words = [*command, database, *(store.as_uri() for store in stores)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def put(node: Node, cortex: str, *operations: dict[str, Any]) -> None:
    node.ask("POST", "batch", {"operations": list(operations)}, cortex=cortex)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def restored(node: Node, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Restore what was backed up before Ann was erased, and replay the list of what was erased since."""
    backup = tmp_path_factory.mktemp("backup")
    for cortex in (CORTEX, OTHER):
        put(
            node, cortex,
            {"op": "put", "id": "ann", "text": "ann lives here", "properties": {"subject": "ann"}},
            {"op": "put", "id": "ann2", "text": "ann is at home", "properties": {"subject": "ann"}},
            {"op": "put", "id": "bob", "text": "bob lives there",
             "relationships": [{"type": "knows", "target": "ann", "weight": 1.0}]},
        )  # fmt: skip
    postgres.back_up(node.database_port, backup / "data")
    for subject in ("ann", "nobody"):
        node.ask("POST", "erase", {"subject": subject}, cortex=CORTEX)
    put(node, CORTEX, {"op": "put", "id": "ann2", "text": "another ann"})
    listed = rows(
        node.database_port, "select tenant, cortex, operation, array_agg(id) from tombstone"
        " where cortex = %s group by 1, 2, 3", CORTEX,
    )  # fmt: skip
    assert len(listed) == 1
    for each in listed:
        for _ in range(2):  # written once
            erasures.keep(DirectoryStore(store), Erasure(*each))
    with postgres.restored(backup / "data") as port:
        assert rows(port, "select count(*) from concept where cortex = %s", CORTEX) == [(3,)]
        yield port


def test_a_replay_erases_what_was_erased_and_nothing_else(restored: int, store: Path) -> None:
    for _ in range(2):  # the second finds nothing to do
        done = replay(restored, store, store)
        assert done.returncode == 0, done.stderr
        assert rows(restored, "select count(*) from concept where cortex = %s", CORTEX) == [(1,)]
        assert rows(restored, "select count(*) from concept where cortex = %s", OTHER) == [(3,)]
        edges = "select count(*) from relationship where cortex = %s"
        assert rows(restored, edges, CORTEX) + rows(restored, edges, OTHER) == [(0,), (1,)]
        assert rows(restored, "select count(*) from tombstone where cortex = %s", CORTEX) == [(2,)]
        changes = "select count(*) from change where cortex = %s"
        assert rows(restored, changes, CORTEX) == [(0,)]  # its content was there, too
    assert "Erased again: 0 concepts" in done.stdout
    columns = {row[0] for row in rows(restored, "select column_name from information_schema.columns"
                                      " where table_name = 'tombstone'")}  # fmt: skip
    assert columns == {"slot", "tenant", "cortex", "id", "operation", "at"}


def test_a_node_serves_what_is_left_and_what_is_put_anew_stays(
    node: Node, restored: int, store: Path, tmp_path: Path
) -> None:
    assert replay(restored, store).returncode == 0
    here = tmp_path / "node"
    shutil.copytree(node.directory, here, ignore=shutil.ignore_patterns("snapshots", "spool*", "log*"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        second = Node(here, restored, port=probe.getsockname()[1])
    text = (node.directory / "node.json").read_text().replace(str(node.directory), str(here))
    config = json.loads(text) | {"port": second.port}
    config["database"]["hosts"][0]["port"] = restored
    (here / "node.json").write_text(json.dumps(config))
    second.keys["acme"] = node.keys["acme"]
    try:
        second.start()
        assert second.send("GET", "concepts/ann", cortex=CORTEX).status_code == 404
        assert second.ask("GET", "concepts/bob", cortex=CORTEX)["text"] == "bob lives there"
        assert second.ask("GET", "concepts/ann", cortex=OTHER)["text"] == "ann lives here"
        found = second.ask("POST", "query", {"text": "ann lives here"}, cortex=CORTEX)["matches"]
        assert [match["id"] for match in found] == ["bob"]
        put(second, CORTEX, {"op": "put", "id": "ann", "text": "ann came back"})
        assert replay(restored, store).returncode == 0  # once more, too late: what is younger stays
        assert second.ask("GET", "concepts/ann", cortex=CORTEX)["text"] == "ann came back"
    finally:
        second.stop()
        second.http.close()


def test_who_had_left_is_removed_again(restored: int, tmp_path: Path) -> None:
    for _ in range(2):
        erasures.keep(DirectoryStore(tmp_path), Departure("other"))
    erasures.keep(DirectoryStore(tmp_path), Departure("never-there"))
    assert rows(restored, "select state from tenant where name = 'other'") == [("active",)]
    assert replay(restored, tmp_path).returncode == 0
    assert rows(restored, "select state, index_key from tenant where name = 'other'") == [("gone", b"")]
    assert all(count == 0 for _, count in rows(restored, "select * from residue_of('other')"))
    assert rows(restored, "select count(*) from concept where cortex = %s", OTHER) == [(3,)]
    assert "0 rows of tenants" in replay(restored, tmp_path).stdout


@pytest.mark.parametrize("content", [b"00\n", b"x" * 32, b"\xff\n"])
def test_a_damaged_list_erases_nothing_and_says_so(restored: int, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "erasures" / "acme" / OTHER / "900"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    done = replay(restored, tmp_path)
    assert done.returncode == 1
    assert "Nothing was erased again" in done.stderr
    assert rows(restored, "select count(*) from concept where cortex = %s", OTHER) == [(3,)]
