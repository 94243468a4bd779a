"""Rows that were altered or moved behind the node's back: refused alike, and in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from unit import postgres
from unit.server.keys import age, check_everything, database, eventually, fill, rotate, states
from unit.server.node import Node, running

SHUT = (500, {"code": "internal", "message": "A stored record does not open."})
FLIPPED, CUT, MOVED, FOREIGN, OTHER_VERSION, RETIRED = "c1", "c2", "c3", "c5", "c6", "c7"
DAMAGED = (FLIPPED, CUT, MOVED, FOREIGN, OTHER_VERSION, RETIRED)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that was started again after all of this was done to its rows."""
    with (
        postgres.running(tmp_path_factory.mktemp("postgres")) as port,
        running(tmp_path_factory.mktemp("node"), port) as made,
    ):
        fill(made, "main", 20)
        fill(made, "main", 20, tenant="other")
        damage(made)
        made.stop()
        made.start()
        yield made


def damage(node: Node) -> None:
    ids = {name: node_id(node, name) for name in (*DAMAGED, "c4")}
    with database(node) as connection:
        old = entry_of(connection, ids[RETIRED])
        version = rotate(node)
        eventually(lambda: set(check_everything(node)) == {version}, node)
        age(node)
        eventually(
            lambda: (
                node.as_operator("POST", f"/v1/tenants/acme/keys/{version - 1}/retire").status_code == 200
            ),
            node,
        )
        assert states(node) == {1: "DESTROYED", 2: "ACTIVE"}
        put(connection, ids[RETIRED], old)
        put(connection, ids[MOVED], entry_of(connection, ids["c4"]))
        foreign = connection.execute("select entry from concept where tenant = 'other' limit 1").fetchone()
        assert foreign is not None
        put(connection, ids[FOREIGN], foreign[0])
        whole = entry_of(connection, ids[FLIPPED])
        put(connection, ids[FLIPPED], whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
        put(connection, ids[CUT], entry_of(connection, ids[CUT])[:-1])
        rotate(node)
        third = entry_of(connection, ids[OTHER_VERSION])
        put(connection, ids[OTHER_VERSION], third[:2] + (3).to_bytes(4, "big") + third[6:])
        eventually(lambda: node.operator("GET", "/v1/tenants/acme")["key_version"] == 3, node)


def node_id(node: Node, name: str) -> bytes:
    """Return the record id of a concept: the row that its next put changes."""
    with database(node) as connection:
        before: dict[bytes, int] = dict(
            connection.execute("select id, seq from concept where tenant = 'acme'").fetchall()
        )
        node.ask("PUT", f"concepts/{name}", {"text": f"{name} again"})
        after: dict[bytes, int] = dict(
            connection.execute("select id, seq from concept where tenant = 'acme'").fetchall()
        )
    return next(bytes(id_) for id_ in after if after[id_] != before[id_])


def entry_of(connection: Any, id_: bytes) -> bytes:
    row = connection.execute("select entry from concept where id = %s", [id_]).fetchone()
    return bytes(row[0])


def put(connection: Any, id_: bytes, entry: bytes) -> None:
    connection.execute("update concept set entry = %s where id = %s", [entry, id_])


@pytest.mark.parametrize("name", DAMAGED)
def test_it_is_refused_as_any_that_does_not_open(node: Node, name: str) -> None:
    answer = node.send("GET", f"concepts/{name}")
    error = answer.json()["error"]
    assert (answer.status_code, {key: error[key] for key in ("code", "message")}) == SHUT


def test_the_others_are_served_and_the_node_is_healthy_and_tells_how_many_there_are(node: Node) -> None:
    assert node.ask("GET", "concepts/c4")["text"] == "c4 again"
    assert node.ask("GET", "concepts/c10", tenant="other")["text"] == "word10 thing3"
    found = node.ask("POST", "query", {"text": "word12", "k": 2})
    assert found["matches"][0]["id"] == "c12"
    report = node.operator("GET", "/v1/health")
    assert (report["status"], report["damaged_rows"]) == ("healthy", len(DAMAGED))
    assert node.log.count('"event": "row does not open"') == len(DAMAGED)


def test_the_operator_finds_them(node: Node) -> None:
    found = node.operator("GET", "/v1/tenants/acme/keys/verify")
    assert sum(each["tried"] - each["opened"] for each in found) == len(DAMAGED)
    assert [each["check_value"] for each in found] == [False, True, True]
    others = node.operator("GET", "/v1/tenants/other/keys/verify")
    assert all(each["tried"] == each["opened"] > 0 for each in others)


def test_what_is_put_again_is_whole_again(node: Node) -> None:
    node.ask("PUT", f"concepts/{CUT}", {"text": "mended"})
    assert node.ask("GET", f"concepts/{CUT}")["text"] == "mended"
    check_everything(node, but=len(DAMAGED) - 1)
