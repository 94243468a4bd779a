"""Login by API key, sessions, roles, suspension: on a real node."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from unit.server.node import Node

QUERY = b'{"text":"anything at all"}'


@pytest.fixture
def tenant(node: Node) -> Iterator[str]:
    """A tenant of one test alone, which may suspend it."""
    yield "other"
    node.as_operator("POST", "/v1/tenants/other/resume")


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.05)


def make_key(node: Node, tenant: str, **wish: Any) -> str:
    return str(node.operator("POST", f"/v1/tenants/{tenant}/api-keys", **wish)["api_key"])


def login(node: Node, tenant: str, key: str) -> httpx.Response:
    return node.send_raw("POST", "/v1/login", "", json.dumps({"tenant": tenant, "api_key": key}).encode())


def token_of(node: Node, tenant: str, **wish: Any) -> str:
    answer = login(node, tenant, make_key(node, tenant, **wish))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def query(node: Node, tenant: str, token: str) -> int:
    return node.send_raw("POST", f"/v1/tenants/{tenant}/cortices/main/query", token, QUERY).status_code


def put(node: Node, tenant: str, token: str) -> httpx.Response:
    path = f"/v1/tenants/{tenant}/cortices/main/concepts/{secrets.token_hex(4)}"
    return node.send_raw("PUT", path, token, b'{"text":"some words"}')


def test_a_session_shows_renews_and_ends(node: Node) -> None:
    token = token_of(node, "acme", role="reader")
    shown = node.send_raw("GET", "/v1/session", token).json()
    assert (shown["tenant"], shown["role"]) == ("acme", "reader")
    again = node.send_raw("POST", "/v1/session", token).json()
    assert again["session"] == shown["session"]
    assert query(node, "acme", again["token"]) == 200
    assert node.send_raw("POST", "/v1/logout", token).status_code == 200
    assert [query(node, "acme", each) for each in (token, again["token"])] == [401, 401]
    assert node.send_raw("POST", "/v1/session", token).status_code == 401


def test_a_reader_reads_and_a_writer_writes(node: Node) -> None:
    reader, writer = token_of(node, "acme", role="reader"), token_of(node, "acme", role="writer")
    assert query(node, "acme", reader) == query(node, "acme", writer) == 200
    refused = put(node, "acme", reader)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert put(node, "acme", writer).status_code == 200


@pytest.mark.parametrize("role", ["operator", "anonymous", "god", "../admin"])
def test_an_api_key_of_no_tenants_role_is_not_made(node: Node, role: str) -> None:
    body = json.dumps({"role": role}).encode()
    assert node.as_operator("POST", "/v1/tenants/acme/api-keys", body).status_code == 400


def test_a_one_time_key_is_good_for_one_login_however_many_try(node: Node) -> None:
    key = make_key(node, "acme", role="writer", once=True)
    eventually(
        lambda: key.split("_")[1] in {k["id"] for k in node.operator("GET", "/v1/tenants/acme/api-keys")}
    )
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: login(node, "acme", key), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    token = next(answer.json()["token"] for answer in answers if answer.status_code == 200)
    assert put(node, "acme", token).status_code == 200
    replayed = login(node, "acme", key)
    assert (replayed.status_code, replayed.json()["error"]["code"]) == (401, "unauthenticated")
    wrong = login(node, "acme", key + "x")
    assert replayed.json()["error"]["message"] == wrong.json()["error"]["message"]


def test_a_revoked_key_and_its_tokens_are_refused(node: Node) -> None:
    key = make_key(node, "acme", role="reader")
    token = login(node, "acme", key).json()["token"]
    assert query(node, "acme", token) == 200
    path = f"/v1/tenants/acme/api-keys/{key.split('_')[1]}"
    assert node.as_operator("DELETE", path).status_code == 200
    eventually(lambda: query(node, "acme", token) == 401)
    assert login(node, "acme", key).status_code == 401
    assert node.as_operator("DELETE", path).status_code == 404


def test_who_is_suspended_is_out_and_comes_back_with_new_tokens_alone(node: Node, tenant: str) -> None:
    key = make_key(node, tenant)
    token = login(node, tenant, key).json()["token"]
    assert node.as_operator("POST", f"/v1/tenants/{tenant}/suspend").json()["state"] == "suspended"
    eventually(lambda: query(node, tenant, token) == 401)
    assert login(node, tenant, key).status_code == 401
    assert login(node, tenant, key).json() | {"error": 0} == login(node, "nobody", key).json() | {"error": 0}
    assert query(node, "acme", node.keys["acme"]) == 200
    assert node.as_operator("POST", f"/v1/tenants/{tenant}/resume").json()["state"] == "active"
    eventually(lambda: login(node, tenant, key).status_code == 200)
    assert query(node, tenant, token) == 401
    node.keys[tenant] = login(node, tenant, key).json()["token"]
    assert query(node, tenant, node.keys[tenant]) == 200


def test_refusals_are_audited_with_their_session(node: Node) -> None:
    token = token_of(node, "acme", role="reader")
    session = node.send_raw("GET", "/v1/session", token).json()["session"]
    put(node, "acme", token)
    events = node.operator("GET", "/v1/audit?tenant=acme&action=concept.put&limit=5")
    assert (events[0]["session"], events[0]["result"]) == (session, "refused: forbidden")
