"""Two tenants of one node at the same time, and calls that are cut off: nobody gets an answer of another."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adversarial import raw
from unit.server.keys import database
from unit.server.node import TENANTS, Node

CORTEX = "crossing"
BESIDE = {"acme": "other", "other": "acme"}


@pytest.fixture(scope="module")
def filled(node: Node) -> Node:
    """Both tenants have concepts of the same names, each with its own text."""
    for tenant in TENANTS:
        puts = [{"op": "put", "id": f"c{n}", "text": f"{tenant} has this {n}"} for n in range(50)]
        node.ask("POST", "batch", {"operations": puts}, tenant=tenant, cortex=CORTEX)
    return node


def path_of(tenant: str, concept: str) -> str:
    return f"/v1/tenants/{tenant}/cortices/{CORTEX}/concepts/{concept}"


def test_calls_that_are_cut_off_in_the_middle_cross_no_answers(filled: Node) -> None:
    """Callers of both tenants come and go at any moment; whoever stays gets what is his."""
    ended = threading.Event()

    def cut_off(seed: int) -> None:
        chance = random.Random(seed)
        while not ended.is_set():
            tenant = chance.choice(TENANTS)
            request = (
                raw.head(filled, "GET", path_of(tenant, f"c{chance.randrange(50)}"), tenant=tenant) + b"\r\n"
            )
            with raw.connected(filled) as connection:
                connection.sendall(request * 3 + request[: chance.randrange(len(request))])
                ended.wait(chance.random() / 50)

    def stay(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            tenant, number = chance.choice(TENANTS), chance.randrange(50)
            found = filled.ask("GET", f"concepts/c{number}", tenant=tenant, cortex=CORTEX)
            assert found["text"] == f"{tenant} has this {number}"
            matches = filled.ask("POST", "query", {"text": "has this"}, tenant=tenant, cortex=CORTEX)[
                "matches"
            ]
            assert all(match["text"].startswith(tenant) for match in matches)

    crowd = [threading.Thread(target=cut_off, args=(seed,)) for seed in range(2)]
    for thread in crowd:
        thread.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(stay, range(3)))
    finally:
        ended.set()
        for thread in crowd:
            thread.join()


def test_one_connection_carries_both_tenants_in_order(filled: Node) -> None:
    numbers = range(40)
    whose = [TENANTS[n % 2] for n in numbers]
    heads = [raw.head(filled, "GET", path_of(whose[n], f"c{n}"), tenant=whose[n]) for n in numbers]
    requests = b"".join(head + b"\r\n" for head in heads)
    last = raw.head(filled, "GET", path_of("acme", "nobody"), "connection: close") + b"\r\n"
    answer = raw.exchange(filled, requests + last)
    places = [answer.find(f'"{whose[n]} has this {n}"'.encode()) for n in numbers]
    assert places == sorted(places)
    assert places[0] > 0
    assert raw.statuses(answer) == [200] * 40 + [404]


@pytest.mark.parametrize("field", ["tenant", "tid", "role", "epoch"])
def test_a_batch_that_names_a_tenant_is_refused_whole(filled: Node, field: str) -> None:
    operations = [
        {"op": "put", "id": "mixed", "text": "a"},
        {"op": "put", "id": "m2", "text": "a", field: "other"},
    ]
    for body in ({"operations": operations}, {"operations": operations[:1], field: "other"}):
        answer = filled.send("POST", "batch", body, cortex=CORTEX)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
        assert field in answer.json()["error"]["message"]
    for tenant in TENANTS:
        assert filled.send("GET", "concepts/mixed", tenant=tenant, cortex=CORTEX).status_code == 404


def test_what_one_tenant_names_is_not_what_the_other_has(filled: Node) -> None:
    """An edge to, a query near, a parent of the other's concept: they are of its own cortex, or of none."""
    node = filled
    node.ask("PUT", "concepts/only-acme", {"text": "the vault of acme"}, cortex=CORTEX)
    edge = {"op": "relate", "source": "c0", "type": "likes", "target": "only-acme"}
    node.ask("POST", "batch", {"operations": [edge]}, tenant="other", cortex=CORTEX)
    asked = {"text": "other has this 0", "hops": 3, "k": 100}
    found = node.ask("POST", "query", asked, tenant="other", cortex=CORTEX)
    assert "vault" not in str(found)
    near = node.send("POST", "query", {"concept": "only-acme"}, tenant="other", cortex=CORTEX)
    assert near.status_code == 404
    foreign = node.send_raw("GET", path_of("acme", "only-acme"), node.keys["other"])
    assert (foreign.status_code, foreign.json()["error"]["message"]) == (404, "There is no such tenant.")


def test_an_idempotency_key_of_one_tenant_is_nothing_to_the_other(filled: Node) -> None:
    key = {"idempotency-key": "the same of both"}
    answers = {
        tenant: filled.send_raw(
            "PUT", path_of(tenant, "keyed"), filled.keys[tenant], f'{{"text":"{tenant}"}}'.encode(), key
        )
        for tenant in TENANTS
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    for tenant in TENANTS:
        assert filled.ask("GET", "concepts/keyed", tenant=tenant, cortex=CORTEX)["text"] == tenant
    again = filled.send_raw("PUT", path_of("acme", "keyed"), filled.keys["acme"], b'{"text":"b"}', key)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize("table", ["concept", "relationship", "change"])
def test_no_two_tenants_have_a_record_of_the_same_name(filled: Node, table: str) -> None:
    """Record ids are keyed by tenant: who sees the rows cannot tell that both have a concept of one name."""
    column = {"concept": "id", "relationship": "source", "change": "entry"}[table]
    with database(filled) as connection:
        rows = connection.execute(
            f"select count(*) from {table} a join {table} b using ({column}) where a.tenant < b.tenant"
        ).fetchall()
    assert rows == [(0,)]
