"""The audit trail of a real node: complete, filtered, of the right tenant, with no name of a person."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from unit.server.node import Node, eventually

FIELDS = {
    "id", "sequence", "time", "tenant", "actor", "session", "ip", "user_agent", "action", "resource",
    "result", "reason", "request_id",
}  # fmt: skip


def trail(node: Node, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.operator("GET", f"/v1/audit{query}")
    return found


@contextmanager
def audit_withheld(node: Node) -> Iterator[None]:
    """The database takes no segment meanwhile."""
    conninfo = f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg"
    with psycopg.connect(conninfo) as connection:
        connection.execute("lock table audit_segment in access exclusive mode")
        yield


def test_every_read_write_and_refusal_is_there_with_all_that_an_entry_has(node: Node) -> None:
    ids = {}
    calls: dict[str, Callable[[], httpx.Response]] = {
        "concept.put": lambda: node.send("PUT", "concepts/seen", {"text": "a word"}, cortex="trail"),
        "concept.get": lambda: node.send("GET", "concepts/seen", cortex="trail"),
        "query": lambda: node.send("POST", "query", {"text": "word"}, cortex="trail"),
        "concept.delete": lambda: node.send("DELETE", "concepts/seen", cortex="trail"),
        "refused": lambda: node.send("GET", "concepts/seen", cortex="trail"),
    }
    for name, call in calls.items():
        ids[name] = call().headers["x-request-id"]
    found = {event["request_id"]: event for event in trail(node, "?tenant=acme&limit=200")}
    for name, id_ in ids.items():
        event = found[id_]
        assert set(event) == FIELDS
        assert event["tenant"] == "acme" and event["actor"].startswith("key:") and event["session"]
        assert event["ip"] == "127.0.0.1" and event["user_agent"].startswith("python-httpx")
        assert event["result"] == ("refused: not_found" if name == "refused" else "done")
        assert event["action"] == ("concept.get" if name == "refused" else name)
    assert found[ids["concept.get"]]["resource"] == found[ids["concept.put"]]["resource"]
    assert found[ids["query"]]["resource"] == "trail"


def test_the_newest_are_first_and_a_limit_keeps_them(node: Node) -> None:
    ids = [node.send("GET", "concepts/none", cortex="order").headers["x-request-id"] for _ in range(20)]
    found = trail(node, "?tenant=acme&resource=order&limit=7")
    assert [event["request_id"] for event in found] == ids[:-8:-1]
    times = [event["time"] for event in trail(node, "?limit=1000")]
    assert times == sorted(times, reverse=True)


def test_every_filter_tells_apart(node: Node) -> None:
    wanted = node.send("GET", "concepts/wanted", cortex="filters").headers["x-request-id"]
    (event,) = trail(node, f"?request_id={wanted}")
    node.send("POST", "query", {"text": "x"}, tenant="other", cortex="filters")
    time.sleep(0.01)
    later = node.send("GET", "concepts/later", cortex="filters").headers["x-request-id"]
    (after,) = trail(node, f"?request_id={later}")
    for query in (
        f"tenant=acme&resource=filters&until={event['time']}", f"session={event['session']}&resource=filters",
        f"resource={event['resource']}", "resource=filters&result=refused", "resource=filters&tenant=acme",
        "resource=filters&result=refused:%20not_found", f"resource=filters&actor={event['actor']}",
        "resource=filters&action=concept.get", f"request_id={wanted}",
    ):  # fmt: skip
        found = [each["request_id"] for each in trail(node, f"?{query}")]
        assert wanted in found, query
    for query in (
        "tenant=other", "tenant=-", "result=done", "result=ref", "resource=filt", "action=query", "session=x",
        "actor=key:0", f"since={after['time']}", "request_id=x", "until=2020-01-01T00:00:00Z",
    ):  # fmt: skip
        found = [each["request_id"] for each in trail(node, f"?{query}&limit=1000")]
        assert wanted not in found, query


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1001", "since=yesterday", "until=99", "limit=%C2%B2"]
)
def test_a_filter_that_means_nothing_is_refused(node: Node, query: str) -> None:
    assert node.as_operator("GET", f"/v1/audit?{query}").status_code == 400


def test_an_operator_is_found_by_name_and_stored_without_it(node: Node) -> None:
    found = trail(node, "?actor=operator:ada&action=tenant.onboard")
    assert {event["tenant"] for event in found} == {"acme", "other"}
    assert all("ada" not in event["actor"] for event in found)
    assert trail(node, "?actor=operator:bob") == []


def test_a_login_to_a_tenant_that_there_is_not_makes_no_log_of_its_own(node: Node) -> None:
    body = {"tenant": "nobody-here", "api_key": "ck_" + "0" * 32}
    answer = node.http.post(f"https://127.0.0.1:{node.port}/v1/login", json=body)
    assert answer.status_code == 401
    assert trail(node, "?tenant=nobody-here") == []
    (event,) = trail(node, f"?tenant=-&request_id={answer.headers['x-request-id']}")
    assert event["tenant"] is None and "nobody-here" in event["reason"]


def test_hostile_headers_are_one_harmless_line(node: Node) -> None:
    """The server itself refuses control characters, and drops values beyond ASCII; the rest is escaped."""
    hostile = 'a"}\\n\\x1b[31m{"actor":"forged"}'
    headers = {"user-agent": hostile + "x" * 5000, "x-request-id": hostile}
    assert node.http.get(f"https://127.0.0.1:{node.port}/v1/audit", headers=headers).status_code == 401
    event = eventually(lambda: next(each for each in trail(node) if each["user_agent"].startswith('a"}')))
    escaped = hostile.replace("\\", "\\\\")
    assert event["user_agent"] == (escaped + "x" * 5000)[:256]
    assert re.fullmatch("[0-9a-f]{16}", event["request_id"])  # of our own: theirs is none


def test_what_a_killed_node_had_spooled_comes_with_its_next_start_once(node: Node) -> None:
    seen = node.send("GET", "concepts/before-the-kill", cortex="killed").headers["x-request-id"]
    with audit_withheld(node):
        waiting = [
            node.send("GET", "concepts/x", cortex="killed").headers["x-request-id"] for _ in range(3)
        ]  # fmt: skip
        time.sleep(0.3)  # longer than a tenth of a second: it is on the disk by now
        node.stop(signal.SIGKILL)
    node.start()
    found = [event["request_id"] for event in trail(node, "?tenant=acme&resource=killed")]
    assert sorted(found) == sorted([seen, *waiting])


def test_segments_cannot_be_changed_by_the_nodes_role(node: Node) -> None:
    conninfo = f"host=127.0.0.1 port={node.database_port} user=cortex dbname=cortexkg"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in (
            "delete from audit_segment", "update audit_segment set content = null", "truncate audit_segment",
            "insert into audit_segment (id) values (gen_random_uuid())",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
