"""What a tenant takes out is all that is stored, and what is erased leaves nothing but a tombstone."""

from __future__ import annotations

import json
import secrets
from typing import Any

import psycopg
import pytest

from unit.server.node import Node


@pytest.fixture
def cortex() -> str:
    return f"r-{secrets.token_hex(4)}"


def batch(node: Node, cortex: str, *operations: dict[str, Any], tenant: str = "acme") -> None:
    for start in range(0, len(operations), 500):
        body = {"operations": operations[start : start + 500]}
        node.ask("POST", "batch", body, cortex=cortex, tenant=tenant)


def pages(node: Node, cortex: str) -> list[dict[str, Any]]:
    found, after = [], ""
    while True:
        answer = node.get_raw(f"/v1/tenants/acme/cortices/{cortex}/export{after}")
        assert answer.status_code == 200, answer.text
        found += answer.json()["concepts"]
        if answer.json()["after"] is None:
            return found
        after = f"?after={answer.json()['after']}"


def erase(node: Node, cortex: str, subject: Any, **more: str) -> int:
    erased: int = 0
    after = None
    while True:
        answer = node.ask("POST", "erase", {"subject": subject, "after": after, **more}, cortex=cortex)
        erased, after = erased + answer["erased"], answer["after"]
        if after is None:
            return erased


def test_an_export_has_every_concept_once_with_all_that_is_stored(node: Node, cortex: str) -> None:
    puts = [
        {"op": "put", "id": f"n{n}", "text": f"word{n} text", "properties": {"n": n, "x": None},
         "relationships": [{"type": "after", "target": f"n{n - 1}", "weight": 0.5}] if n else []}
        for n in range(450)
    ]  # fmt: skip
    batch(node, cortex, *puts)
    batch(node, cortex, {"op": "put", "id": "vector", "vector": [0.5, -1.0, 2.0, 0.25]})
    found = {concept["id"]: concept for concept in pages(node, cortex)}
    assert len(pages(node, cortex)) == len(found) == 451
    for put in puts:
        same = {key: value for key, value in put.items() if key != "op"}
        assert {key: found[put["id"]].get(key, []) for key in same} == same
    assert found["vector"]["dimension"] == 4
    assert found["vector"]["bits"]
    again = f"{cortex}-again"
    batch(node, again, *({"op": "put", **concept} for concept in found.values() if "bits" not in concept))
    assert {c["id"]: c for c in pages(node, again)} == {k: v for k, v in found.items() if k != "vector"}


def test_who_may_not_take_out_or_erase_does_not(node: Node, cortex: str) -> None:
    key = node.operator("POST", "/v1/tenants/acme/api-keys", role="writer")["api_key"]
    login = node.send_raw("POST", "/v1/login", "", json.dumps({"tenant": "acme", "api_key": key}).encode())
    token = login.json()["token"]
    for method, path in (("GET", "export"), ("POST", "erase")):
        answer = node.send_raw(method, f"/v1/tenants/acme/cortices/{cortex}/{path}", token, b"{}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("after", ["x", "0" * 31, "G" * 32, "../" + "0" * 29, "0" * 64])
def test_a_cursor_that_no_page_gave_is_refused(node: Node, cortex: str, after: str) -> None:
    assert node.get_raw(f"/v1/tenants/acme/cortices/{cortex}/export?after={after}").status_code == 400


def test_a_cursor_of_another_tenant_leads_to_none_of_its_concepts(node: Node, cortex: str) -> None:
    batch(node, cortex, *({"op": "put", "id": f"n{n}", "text": f"word{n}"} for n in range(300)))
    after = node.get_raw(f"/v1/tenants/acme/cortices/{cortex}/export").json()["after"]
    assert after
    answer = node.get_raw(f"/v1/tenants/other/cortices/{cortex}/export?after={after}", tenant="other")
    assert answer.json() == {"concepts": [], "after": None}


def test_an_erased_subject_leaves_a_tombstone_without_content(node: Node, cortex: str) -> None:
    mine = [{"op": "put", "id": f"ann-{n}", "text": f"ann likes {n}", "properties": {"subject": "ann"}}
            for n in range(30)]  # fmt: skip
    others = [{"op": "put", "id": f"bob-{n}", "text": f"bob likes {n}", "properties": {"subject": "bob"}}
              for n in range(1200)]  # fmt: skip
    batch(node, cortex, *mine, *others)
    batch(node, cortex, {"op": "relate", "source": "bob-1", "type": "knows", "target": "ann-1"})
    assert erase(node, cortex, "ann") == 30
    assert erase(node, cortex, "ann") == 0
    assert node.send("GET", "concepts/ann-1", cortex=cortex).status_code == 404
    assert node.ask("GET", "concepts/bob-1", cortex=cortex)["relationships"] == []
    matches = node.ask("POST", "query", {"text": "ann likes 7", "k": 50}, cortex=cortex)["matches"]
    assert not [match["id"] for match in matches if match["id"].startswith("ann")]
    with psycopg.connect(
        f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg"
    ) as database:
        rows = database.execute("select * from tombstone where cortex = %s", [cortex]).fetchall()
        left = database.execute("select count(*) from concept where cortex = %s", [cortex]).fetchone()
    assert len(rows) == 30
    assert left == (1200,)
    assert all(len(row[3]) == 16 for row in rows)


def test_erasing_looks_at_the_value_and_its_type(node: Node, cortex: str) -> None:
    for number, value in enumerate(("1", 1, 1.0, True, "2", None, ["1"])):
        put = {"op": "put", "id": f"n{number}", "text": f"word{number}", "properties": {"owner": value}}
        batch(node, cortex, put)
    assert erase(node, cortex, 1, property="owner") == 1
    assert erase(node, cortex, "1", property="owner") == 1
    assert sorted(concept["id"] for concept in pages(node, cortex)) == ["n2", "n3", "n4", "n5", "n6"]


def test_what_was_erased_may_come_again(node: Node, cortex: str) -> None:
    put = {"op": "put", "id": "ann", "text": "ann", "properties": {"subject": "ann"}}
    batch(node, cortex, put)
    assert erase(node, cortex, "ann") == 1
    batch(node, cortex, put)
    assert node.ask("GET", "concepts/ann", cortex=cortex)["text"] == "ann"
    assert erase(node, cortex, "ann") == 1


def test_erase_is_no_operation_of_a_batch(node: Node, cortex: str) -> None:
    answer = node.send("POST", "batch", {"operations": [{"op": "erase", "id": "a"}]}, cortex=cortex)
    assert answer.status_code == 400


def test_cortices_are_listed_with_what_they_take(node: Node, cortex: str) -> None:
    batch(node, cortex, {"op": "put", "id": "a", "text": "some words"})
    listed = {each["name"]: each for each in node.get_raw("/v1/tenants/acme/cortices").json()}
    assert (listed[cortex]["concepts"], listed[cortex]["columns"]) == (1, 1)
    assert listed[cortex]["storage"] > 100
