"""Concepts by the API of a real node: what they have and inherit, and what filters find."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from random import Random
from typing import Any

import psycopg
import pytest
import zstandard

from cortex_runtime.columns import tags_of
from unit.server.node import Node

CORTICES = (f"c{number}" for number in itertools.count())


@pytest.fixture
def cortex() -> str:
    """The name of a cortex that nothing was put in yet."""
    return next(CORTICES)


def put(id_: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    return {"op": "put", "id": id_, "text": text or f"{id_} of some kind", **more}


def relate(source: str, target: str, type_: str = "inherits") -> dict[str, Any]:
    return {"op": "relate", "source": source, "type": type_, "target": target}


def batch(node: Node, cortex: str, *operations: dict[str, Any]) -> Any:
    return node.ask("POST", "batch", {"operations": operations}, cortex=cortex)


def found(node: Node, cortex: str, **query: Any) -> list[str]:
    """The ids that a query finds, in alphabetical order."""
    answer = node.ask("POST", "query", {"text": "some kind", "k": 100, **query}, cortex=cortex)
    assert not answer["capped"]
    return sorted(match["id"] for match in answer["matches"])


def test_a_concept_has_what_it_inherits_but_for_its_exceptions(node: Node, cortex: str) -> None:
    batch(
        node, cortex,
        put("animal", properties={"alive": True, "legs": 4, "size": 1.0}),
        put("bird", properties={"legs": 2, "flies": True, "size": None}, parent="animal"),
        put("penguin", properties={"flies": None, "size": [1, 2]}, parent="bird"),
    )  # fmt: skip
    penguin = node.ask("GET", "concepts/penguin", cortex=cortex)
    assert penguin["properties"] == {"alive": True, "legs": 2, "size": [1, 2]}
    assert penguin["own_properties"] == {"flies": None, "size": [1, 2]}
    assert penguin["inherited"] == {"alive": "animal", "legs": "bird"}
    assert penguin["ancestors"] == ["bird", "animal"]
    assert penguin["relationships"] == [{"type": "inherits", "target": "bird", "weight": 1.0}]
    bird = node.ask("GET", "concepts/bird", cortex=cortex)
    assert bird["properties"] == {"alive": True, "legs": 2, "flies": True}
    answer = node.ask("POST", "query", {"text": "penguin", "k": 1}, cortex=cortex)
    (match,) = answer["matches"]
    assert {name: match[name] for name in ("id", "properties", "own_properties", "inherited")} == {
        name: penguin[name] for name in ("id", "properties", "own_properties", "inherited")
    }
    assert answer["cost"] == 1


def test_a_filter_finds_by_own_and_inherited_values(node: Node, cortex: str) -> None:
    batch(
        node, cortex,
        put("animal", properties={"legs": 4, "alive": True, "tags": ["land", "sea"]}),
        put("bird", properties={"legs": 2.0}, parent="animal"),
        put("penguin", properties={"alive": "yes"}, parent="bird"),
        put("chair", properties={"legs": 4, "alive": None, "tags": {"land": 1}}, parent="animal"),
        put("stone"),
    )  # fmt: skip
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["animal", "bird", "chair", "penguin", "stone"]),
        ({"legs": 2}, ["bird", "penguin"]),
        ({"legs": 4.0}, ["animal", "chair"]),
        ({"legs": [4, 2]}, ["animal", "bird", "chair", "penguin"]),
        ({"legs": "4"}, []),
        ({"alive": True}, ["animal", "bird"]),
        ({"alive": 1}, []),
        ({"alive": ["yes", True], "legs": 2}, ["bird", "penguin"]),
        ({"tags": "sea"}, ["animal", "bird", "penguin"]),
        ({"tags": ["air", "land"], "legs": 4}, ["animal"]),
        ({"legs": 4, "wheels": 4}, []),
    ]
    for where, ids in expected:
        assert found(node, cortex, where=where) == ids, where


def test_a_filter_holds_for_what_is_reached_by_relationships_too(node: Node, cortex: str) -> None:
    batch(
        node, cortex,
        put("wolf", "wolf", properties={"legs": 4}),
        put("moon", "moon", properties={"legs": 0}, relationships=[{"type": "pulls", "target": "sea"}]),
        put("sea", "sea", properties={"legs": 4}),
        relate("wolf", "moon", "howls at"),
    )  # fmt: skip
    answer = node.ask(
        "POST", "query", {"text": "wolf", "hops": 2, "where": {"legs": 4}}, cortex=cortex
    )  # fmt: skip
    assert [match["id"] for match in answer["matches"]] == ["wolf", "sea"]
    assert [step["target"] for step in answer["matches"][1]["path"]] == ["moon", "sea"]


def test_values_whose_hashes_are_equal_are_told_apart(node: Node, cortex: str) -> None:
    one, other = "vc1ce3", "v10a39c"  # found by looking at a million
    assert tags_of({"key": one}) == tags_of({"key": other})
    batch(node, cortex, put("a", properties={"key": one}), put("b", properties={"key": other}),
          put("c", parent="b"))  # fmt: skip
    assert found(node, cortex, where={"key": one}) == ["a"]
    assert found(node, cortex, where={"key": other}) == ["b", "c"]


def test_a_new_parent_takes_the_place_of_the_one_before(node: Node, cortex: str) -> None:
    batch(node, cortex, put("a", properties={"x": 1}), put("b", properties={"x": 2}), put("c", parent="a"))
    node.ask("POST", "relationships", {"source": "c", "type": "inherits", "target": "b"}, cortex=cortex)
    concept = node.ask("GET", "concepts/c", cortex=cortex)
    assert concept["ancestors"] == ["b"]
    assert [edge["target"] for edge in concept["relationships"]] == ["b"]
    assert found(node, cortex, where={"x": 1}) == ["a"]
    assert found(node, cortex, where={"x": 2}) == ["b", "c"]
    batch(node, cortex, put("c", relationships=[{"type": "inherits", "target": "a"}]))
    assert found(node, cortex, where={"x": 1}) == ["a", "c"]
    node.ask("DELETE", "relationships", {"source": "c", "type": "inherits", "target": "a"}, cortex=cortex)
    assert node.ask("GET", "concepts/c", cortex=cortex)["properties"] == {}
    batch(node, cortex, put("c", parent="later"), put("later", properties={"x": 3}))
    assert found(node, cortex, where={"x": 3}) == ["c", "later"]
    batch(node, cortex, {"op": "delete", "id": "later"})
    assert node.ask("GET", "concepts/c", cortex=cortex)["ancestors"] == []


def test_a_node_that_is_killed_comes_back_with_the_same_columns_tags_and_parents(
    node: Node, cortex: str
) -> None:
    properties = {"n": [1, 2.5, -0.0, 2**63, True], "w": "é", "gone": None, "deep": {"x": [1]}, "": ""}
    batch(node, cortex, put("a", properties=properties), put("b", parent="a", properties={"n": 1e300}),
          put("twin", "a of some kind", properties={"n": 7}), put("c", parent="a"))  # fmt: skip
    batch(node, cortex, put("a", properties={**properties, "more": [3, 3.0]}), relate("c", "b"),
          {"op": "delete", "id": "twin"}, {"op": "put", "id": "v", "vector": [0.5, -1, 2]})  # fmt: skip
    before, queried = node.slots(), found(node, cortex, where={"more": 3, "w": "é"})
    assert queried == ["a", "b", "c"]
    node.stop(signal.SIGKILL)
    node.start()
    assert node.slots() == before
    assert found(node, cortex, where={"more": 3, "w": "é"}) == queried


def test_concepts_of_vectors_are_found_by_vectors_that_are_like_them(node: Node, cortex: str) -> None:
    random = Random(5)
    vectors = [[random.gauss(0, 1) for _ in range(50)] for _ in range(20)]
    for number, vector in enumerate(vectors):
        body = {"vector": vector, "properties": {"even": number % 2 == 0}}
        node.ask("PUT", f"concepts/v{number}", body, cortex=cortex)
    node.ask("PUT", "concepts/v3", {"vector": vectors[3], "text": "shown"}, cortex=cortex)
    near = [number + random.gauss(0, 0.2) for number in vectors[3]]
    answer = node.ask("POST", "query", {"vector": near, "k": 3}, cortex=cortex)
    assert (answer["matches"][0]["id"], answer["matches"][0]["text"]) == ("v3", "shown")
    assert answer["matches"][0]["overlap"] > 2 * answer["matches"][1]["overlap"]
    like = node.ask("POST", "query", {"concept": "v4", "where": {"even": True}}, cortex=cortex)
    assert (like["matches"][0]["id"], like["matches"][0]["overlap"]) == ("v4", 1.0)
    assert {match["text"] for match in like["matches"]} == {None}
    concept = node.ask("GET", "concepts/v4", cortex=cortex)
    assert (concept["text"], concept["dimension"]) == (None, 50)
    assert 0.5 < concept["activation"] <= 1
    for number in range(20):  # once there are none, the next may have another length
        node.ask("DELETE", f"concepts/v{number}", cortex=cortex)
    node.ask("PUT", "concepts/other", {"vector": [1, 2]}, cortex=cortex)


def test_what_a_few_concepts_inherit_does_not_make_an_answer_without_end(node: Node, cortex: str) -> None:
    children = [
        put(f"child{number}", f"kind a{number} b{number} c{number}", parent="heavy") for number in range(90)
    ]
    batch(node, cortex, put("heavy", properties={"weight": "x" * 900_000}))
    # A word that all concepts have says nothing.
    batch(node, cortex, *children, *(put(f"other{number}", f"other{number}") for number in range(90)))
    refused = node.send("POST", "query", {"text": "some kind", "k": 100}, cortex=cortex)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    assert len(node.ask("POST", "query", {"text": "some kind", "k": 5}, cortex=cortex)["matches"]) == 5


def test_what_tenants_give_is_nowhere_in_the_clear(node: Node, cortex: str) -> None:
    secret = "xylophonist"
    batch(node, cortex, put(f"id-{secret}", f"text {secret}", parent=f"parent-{secret}",
          properties={f"key-{secret}": f"value-{secret}", "number": 6_435_987_123}))  # fmt: skip
    found(node, cortex, where={f"key-{secret}": f"value-{secret}"})
    wrong: list[tuple[str, str, Any]] = [
        ("POST", "batch", {"operations": [relate(f"x-{secret}", "b")]}),
        ("POST", "batch", {"operations": [put(secret), relate(secret, secret)]}),
        ("POST", "batch", {"operations": [{"op": secret}]}),
        ("POST", "query", {"text": secret, secret: secret}),
        ("PUT", f"concepts/{secret}", {"text": "a", "properties": {secret: list(range(2000))}}),
        ("GET", f"concepts/no-{secret}", None),
    ]
    answers = [node.send(*each, cortex=cortex) for each in wrong]
    assert {answer.status_code for answer in answers} == {400, 404, 409}
    last = answers[-1].headers["x-request-id"]
    until = time.monotonic() + 10.0  # it is written ten times a second
    while last not in {event["request_id"] for event in node.operator("GET", "/v1/audit")}:
        assert time.monotonic() < until
        time.sleep(0.05)
    dumped = node.log.encode() + dump(node)
    assert b"refused: cycle" in dumped
    assert secret.encode() not in dumped
    assert b"6435987123" not in dumped
    for tag in tags_of({f"key-{secret}": f"value-{secret}", "number": 6_435_987_123}):
        assert tag.to_bytes(8, "little") not in dumped
        assert tag.to_bytes(8, sys.byteorder) not in dumped


def dump(node: Node) -> bytes:
    """All that the database has, as bytes; what it has compressed, also as it was before."""
    parts: list[bytes] = []
    conninfo = f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        tables = connection.execute("select relname from pg_class where relkind = 'r' and relnamespace ="
                                    " 'public'::regnamespace").fetchall()  # fmt: skip
        for (table,) in tables:
            statement = psycopg.sql.SQL("copy {} to stdout (format binary)").format(
                psycopg.sql.Identifier(table)
            )
            with connection.cursor().copy(statement) as rows:
                parts.extend(bytes(row) for row in rows)
        contents = connection.execute(
            "select content from audit_segment where content is not null"
        ).fetchall()
        parts.extend(zstandard.ZstdDecompressor().decompress(content) for (content,) in contents)
    return b"".join(parts)
