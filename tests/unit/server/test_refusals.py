"""What the API refuses: a stable code and status, what is wrong by name, and nothing changed."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest

from cortex_runtime.columns import (
    CapacityError,
    CycleError,
    DimensionError,
    InvalidOperationError,
    InvalidQueryError,
    NothingToEncodeError,
    QueryTooComplexError,
    QuotaError,
    TextTooLongError,
    TooManyTypesError,
    UnknownConceptError,
    VectorError,
)
from cortex_runtime.columns.model import INHERITS, MAX_ANCESTORS
from cortex_runtime.formats import messages
from cortex_runtime.server.app import _failure
from cortex_runtime.server.errors import ENGINE, STATUS
from unit.server.node import Node

CORTICES = (f"r{number}" for number in itertools.count())
TEXT = {"text": "a"}


@pytest.fixture
def cortex(node: Node) -> str:
    """A cortex with the concepts a, and b to f each inheriting from the one before, and v of a vector."""
    name = next(CORTICES)
    letters = "abcdef"
    puts = [put(letter, text=f"the letter {letter}") for letter in letters]
    puts.append(put("v", vector=[1, 2, 3]))
    edges = [relate(child, parent) for parent, child in itertools.pairwise(letters)]
    node.ask("POST", "batch", {"operations": puts + edges}, cortex=name)
    return name


def relate(source: str, target: str, type_: str = "inherits", **more: Any) -> dict[str, Any]:
    return {"op": "relate", "source": source, "type": type_, "target": target, **more}


def put(id_: str, **more: Any) -> dict[str, Any]:
    return {"op": "put", "id": id_, "text": "some text", **more}


def chain(length: int) -> list[dict[str, Any]]:
    return [put("n0"), *(put(f"n{number}", parent=f"n{number - 1}") for number in range(1, length + 1))]


WRITES: list[tuple[Any, int, str, str]] = [
    (relate("a", "f"), 409, "cycle", "'a' -> 'f' -> 'e' -> 'd' -> 'c' -> 'b' -> 'a'"),
    (relate("c", "c"), 409, "cycle", "'c' -> 'c'"),
    (relate("a", "never-put"), 200, "", ""),
    (relate("nobody", "a"), 404, "not_found", "'nobody'"),
    (relate("nobody", "a", "likes"), 404, "not_found", "'nobody'"),
    (relate("a", "b", weight=0), 400, "invalid", "weight"),
    (relate("a", "b", weight=1.5), 400, "invalid", "weight"),
    (relate("a", "b", weight=-1), 400, "invalid", "weight"),
    (relate("a", "b", ""), 400, "invalid", "type"),
    (relate("a", "b\n"), 400, "invalid", "target"),
    (relate("a\x00", "b"), 400, "invalid", "source"),
    (put(""), 400, "invalid", "id"),
    (put("x\n"), 400, "invalid", "id"),
    (put("x\x7f"), 400, "invalid", "id"),
    (put("x\x9b"), 400, "invalid", "id"),
    (put("x" * 257), 400, "invalid", "id"),
    (put("x", text="\u200b \n"), 400, "invalid", "'x'"),
    (put("x", text=None), 400, "invalid", "`vector`"),
    (put("x", text="x" * 65_537), 400, "invalid", "text"),
    (put("x", properties={"list": list(range(1025))}), 400, "invalid", "'list'"),
    (put("x", properties={"number": 2**64}), 400, "invalid", "'x'"),
    (put("x", properties=[]), 400, "invalid", "properties"),
    (put("x", parent="x"), 409, "cycle", "'x' -> 'x'"),
    (put("a", parent="d"), 409, "cycle", "'a' -> 'd' -> 'c' -> 'b' -> 'a'"),
    (put("x", parent="a", relationships=[{"type": "inherits", "target": "b"}]), 400, "invalid", "parent"),
    (put("x", role="admin"), 400, "invalid", "role"),
    (put("x", vector=[]), 400, "invalid", "vector"),
    (put("x", vector=[0.5] * 65_536), 400, "invalid", "vector"),
    (put("x", vector=["1"]), 400, "invalid", "vector[0]"),
    (put("x", vector=[True]), 400, "invalid", "vector[0]"),
    (put("x", vector=[0, 0.0]), 400, "invalid", "all zeros"),
    (put("x", vector=[1] * 5), 400, "dimension", "'x' has 5 numbers"),
    ({"op": "forget", "id": "a"}, 400, "invalid", "forget"),
]
QUERIES: list[tuple[Any, int, str, str]] = [
    ({}, 400, "invalid", "one of"),
    ({"text": "a", "concept": "b"}, 400, "invalid", "one of"),
    ({"text": ""}, 400, "invalid", "text"),
    ({"text": "\u200b"}, 400, "invalid", "text"),
    ({"concept": "nobody"}, 404, "not_found", "concept"),
    ({**TEXT, "k": 0}, 400, "invalid", "k"),
    ({**TEXT, "k": -5}, 400, "invalid", "k"),
    ({**TEXT, "k": 10**30}, 400, "invalid", "k"),
    ({**TEXT, "hops": 4}, 400, "invalid", "hops"),
    ({**TEXT, "hops": -1}, 400, "invalid", "hops"),
    ({**TEXT, "decay": 0}, 400, "invalid", "decay"),
    ({**TEXT, "decay": 1.1}, 400, "invalid", "decay"),
    ({**TEXT, "budget": 0}, 400, "invalid", "budget"),
    ({**TEXT, "budget": 10_001}, 400, "invalid", "budget"),
    ({**TEXT, "where": {"x": None}}, 400, "invalid", "where"),
    ({**TEXT, "where": {"x": []}}, 400, "invalid", "where"),
    ({**TEXT, "where": {"x": [None]}}, 400, "invalid", "where"),
    ({**TEXT, "where": {"x": {"y": 1}}}, 400, "invalid", "where"),
    ({**TEXT, "where": {"x": list(range(1025))}}, 400, "invalid", "where"),
    ({**TEXT, "where": {str(number): 1 for number in range(17)}}, 400, "invalid", "where"),
    ({**TEXT, "where": {"x": list(range(1024))}}, 200, "", ""),
    ({**TEXT, "exact": "yes"}, 400, "invalid", "exact"),
    ({"vector": []}, 400, "invalid", "vector"),
    ({"vector": [1], "text": "a"}, 400, "invalid", "one of"),
    ({"vector": [0, 0, 0]}, 400, "invalid", "all zeros"),
    ({"vector": [1] * 5}, 400, "dimension", "has 5 numbers"),
]
NO_JSON = [
    b'{"text": "a", "properties": {"x": NaN}}', b'{"text": "a", "properties": {"x": Infinity}}',
    b'{"text": "a", "properties": {"x": 1e999}}', b'{"vector": [NaN]}', b'{"vector": [1, -Infinity]}',
    b'{"vector": [1e999]}', b'{"text": "a", "relationships": [{"type": "t", "target": "b", "weight": NaN}]}',
    b'{"text": "\xff"}', b'{"text": "\\ud800"}', b"",
]  # fmt: skip


@pytest.mark.parametrize(("operation", "status", "code", "named"), WRITES, ids=range(len(WRITES)))
def test_a_write_that_is_refused_changes_nothing(
    node: Node, cortex: str, operation: Any, status: int, code: str, named: str
) -> None:
    before = node.slots()
    answer = node.send("POST", "batch", {"operations": [operation]}, cortex=cortex)
    assert answer.status_code == status, answer.text
    if status != 200:
        error = answer.json()["error"]
        assert (error["code"], STATUS[code]) == (code, status)
        assert named in error["message"]
        assert node.slots() == before


WRONG = [
    relate("a", "d"), relate("nobody", "a"), put("x", text="\u200b"), put("x", vector=[1]),
    put("x", properties={"list": list(range(1025))}), put("y", parent="y"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_batch_with_one_wrong_operation_is_as_if_it_had_not_been(
    node: Node, cortex: str, wrong: Any
) -> None:
    before, concept = node.slots(), node.ask("GET", "concepts/b", cortex=cortex)
    operations = [put("new", parent="a"), put("b", properties={"x": 1}), relate("c", "new"),
                  {"op": "delete", "id": "e"}, wrong, put("last")]  # fmt: skip
    assert node.send("POST", "batch", {"operations": operations}, cortex=cortex).status_code >= 400
    assert node.slots() == before
    assert node.ask("GET", "concepts/b", cortex=cortex) == concept
    assert node.send("GET", "concepts/new", cortex=cortex).status_code == 404
    operations.remove(wrong)
    node.ask("POST", "batch", {"operations": operations}, cortex=cortex)
    assert node.ask("GET", "concepts/c", cortex=cortex)["ancestors"] == ["new", "a"]


def test_a_chain_has_16_ancestors_and_not_one_more(node: Node, cortex: str) -> None:
    node.ask("POST", "batch", {"operations": chain(MAX_ANCESTORS)}, cortex=cortex)
    before = node.slots()
    for operation in (put("more", parent=f"n{MAX_ANCESTORS}"), relate("n0", "f")):
        answer = node.send("POST", "batch", {"operations": [operation]}, cortex=cortex)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "cycle")
        assert "more than 16" in answer.json()["error"]["message"]
        assert node.slots() == before
    # The names of those that the request doesn't name are read.
    message = node.send("PUT", "concepts/more", {"text": "a", "parent": "n16"}, cortex=cortex).json()
    assert " -> ".join(f"'n{number}'" for number in range(16, -1, -1)) in message["error"]["message"]
    assert len(node.ask("GET", "concepts/n16", cortex=cortex)["ancestors"]) == MAX_ANCESTORS


@pytest.mark.parametrize(("query", "status", "code", "named"), QUERIES, ids=range(len(QUERIES)))
def test_a_query_that_is_refused(
    node: Node, cortex: str, query: Any, status: int, code: str, named: str
) -> None:
    answer = node.send("POST", "query", query, cortex=cortex)
    assert answer.status_code == status, answer.text
    if status != 200:
        error = answer.json()["error"]
        assert error["code"] == code
        assert named in error["message"]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_what_is_no_json_is_refused(node: Node, cortex: str, body: bytes) -> None:
    before = node.slots()
    for method, path in (("PUT", "concepts/x"), ("POST", "query"), ("POST", "batch")):
        answer = node.send(method, path, body, cortex=cortex)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
    assert node.slots() == before


def test_a_body_that_is_not_read_ends_the_connection(node: Node, cortex: str) -> None:
    answer = node.send("PUT", "concepts/long", {"text": "x" * (1 << 20)}, cortex=cortex)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    for _ in range(20):
        assert node.send("PUT", "concepts/long", {"text": "x" * (1 << 20)}, cortex=cortex).status_code == 413
    assert "connection" not in node.send("GET", "concepts/nobody", cortex=cortex).headers
    path = f"https://127.0.0.1:{node.port}/v1/tenants/acme/cortices/{cortex}/concepts/long"
    headers = {"authorization": f"Bearer {node.keys['acme']}"}
    chunks = node.http.put(path, content=iter([b"x" * (1 << 16)] * 40), headers=headers)
    assert (chunks.status_code, chunks.headers["connection"]) == (413, "close")


def test_a_refused_body_that_is_read_to_its_end_does_not_end_the_connection(node: Node, cortex: str) -> None:
    """A handshake for each refusal would be a lever; and what was in the body is no request."""
    path = f"/v1/tenants/acme/cortices/{cortex}/concepts/x"
    body = f"DELETE {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {node.keys['acme']}\r\n\r\n".encode()
    node.ask("PUT", "concepts/x", TEXT, cortex=cortex)
    for _ in range(3):
        refused = node.send_raw("PUT", path, "", body)
        assert (refused.status_code, "connection" in refused.headers) == (401, False)
        assert node.send("GET", "concepts/x", cortex=cortex).status_code == 200


def test_an_id_in_the_path_has_no_control_characters(node: Node, cortex: str) -> None:
    for name in ("x\n", "x\x00y", "\x7f", "x" * 257, "\x9b31mred", "a\x85b", "a\u2028b"):
        answer = node.send("PUT", f"concepts/{name}", TEXT, cortex=cortex)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid"), name
        assert repr(name[:80]) in answer.json()["error"]["message"]


def test_a_query_over_its_budget_is_refused_or_capped(node: Node, cortex: str) -> None:
    for part in range(2):
        edges = [{"type": "of", "target": f"spoke{part}-{number}"} for number in range(700)]
        node.ask("PUT", "concepts/hub", {"text": "hub", "relationships": edges}, cortex=cortex)
    query = {"text": "hub", "hops": 1, "budget": 1}
    answer = node.send("POST", "query", {**query, "exact": True}, cortex=cortex)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_complex")
    named = re.search(r"would cost (\d+) units, and its budget is 1:", answer.json()["error"]["message"])
    assert named is not None
    capped = node.ask("POST", "query", query, cortex=cortex)
    assert (capped["capped"], capped["cost"]) == (True, 1)
    for exact in (True, False):
        whole = node.ask("POST", "query", {**query, "budget": None, "exact": exact}, cortex=cortex)
        assert not whole["capped"]
        assert whole["cost"] >= int(named[1]) > 1
        assert [match["id"] for match in whole["matches"]] == ["hub"]


def test_one_table_has_every_error_of_the_engine() -> None:
    errors: list[tuple[Exception, str]] = [
        (CapacityError("x"), "capacity"), (CycleError("x", (b"a",)), "cycle"),
        (DimensionError("x"), "dimension"),
        (UnknownConceptError(b"a"), "not_found"), (QueryTooComplexError(2, 1), "too_complex"),
        (InvalidOperationError("x"), "invalid"), (InvalidQueryError("x"), "invalid"),
        (NothingToEncodeError("x"), "invalid"), (VectorError("x"), "invalid"), (QuotaError(1, b"a"), "quota"),
        (TextTooLongError("x"), "invalid"), (TooManyTypesError("x"), "quota"),
    ]  # fmt: skip
    assert {type(error) for error, _ in errors} == set(ENGINE)
    for error, code in errors:
        failure = _failure(error)
        assert (failure.code, failure.message) == (code, str(error))
        assert failure.reason == type(error).__name__  # the audit log is not encrypted


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), KeyError("x"), IndexError("x"),
                                   FloatingPointError("x")])  # fmt: skip
def test_our_own_faults_are_not_called_the_callers(error: Exception) -> None:
    assert (_failure(error).code, _failure(error).status) == ("internal", 500)


def test_the_messages_have_the_engines_limits() -> None:
    assert messages.INHERITS == INHERITS
    assert math.isfinite(messages.MAX_BUDGET)
