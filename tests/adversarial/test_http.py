"""Requests that are not what they say they are: no byte of one is ever taken for another, nor half of one."""

from __future__ import annotations

import gzip
import threading
import time
from pathlib import Path

import pytest

from adversarial import raw
from unit.server.node import Node

BODY = b'{"text":"smuggled"}'
SMUGGLED = b"GET /v1/tenants/acme/cortices/main/concepts/victim HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"13\r\n" + BODY + b"\r\n0\r\n\r\n"


def path_of(concept: str) -> str:
    return f"/v1/tenants/acme/cortices/main/concepts/{concept}"


def put(node: Node, *headers: str, concept: str = "x") -> bytes:
    return raw.head(node, "PUT", path_of(concept), *headers)


def is_stored(node: Node, concept: str) -> bool:
    return node.send("GET", f"concepts/{concept}").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "content-length: 5\r\ncontent-length: 19", "content-length: +19", "content-length: -1",
        "content-length: 19, 19", "content-length: 0x13", "content-length : 19",
        "transfer-encoding: identity", "transfer-encoding: xchunked", "transfer-encoding: gzip",
        "x: a\rb", "x: a\0b", "x: a\r\n folded", ": no name",
    ],
)  # fmt: skip
def test_a_head_that_can_be_read_in_two_ways_is_refused_and_the_connection_ends(
    node: Node, header: str
) -> None:
    answer = raw.exchange(node, put(node, header) + b"\r\n" + BODY + SMUGGLED)
    assert raw.statuses(answer) == [400]


@pytest.mark.parametrize("name", ["authorization", "cortex-tenant", "cortex-position", "idempotency-key"])
def test_a_header_that_decides_stands_there_once(node: Node, name: str) -> None:
    value = f"Bearer {node.keys['acme']}" if name == "authorization" else "acme"
    twice = [f"{name}: {value}"] * (1 if name == "authorization" else 2)
    head = put(node, *twice, "content-length: 19", "connection: close", concept="twice")
    answer = raw.exchange(node, head + b"\r\n" + BODY)
    assert raw.statuses(answer) == [400]
    assert b"each of these headers once" in answer
    assert not is_stored(node, "twice")


def test_of_two_lengths_the_chunks_count_and_nothing_behind_them_is_a_request(node: Node) -> None:
    for order in (
        ("content-length: 30", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: 30"),
    ):
        answer = raw.exchange(node, put(node, *order) + b"\r\n" + CHUNKED + SMUGGLED)
        assert raw.statuses(answer) == [200]
        assert b"victim" not in answer


def test_a_body_that_is_shorter_than_it_says_is_not_taken_for_a_whole_one(node: Node) -> None:
    for length in (20, 100, 10_000):
        sent = put(node, f"content-length: {length}", concept="short") + b"\r\n" + BODY
        assert 200 not in raw.statuses(raw.exchange(node, sent, end=True))
    for cut in (b"13\r\n" + BODY[:-1], b"FFFFFFFFFFFFFFFFFF\r\n" + BODY, b"zz\r\n" + BODY):
        sent = put(node, "transfer-encoding: chunked", concept="short") + b"\r\n" + cut
        assert 200 not in raw.statuses(raw.exchange(node, sent, end=True))
    assert not is_stored(node, "short")


def test_what_is_behind_a_body_that_is_longer_than_it_says_is_no_part_of_it(node: Node) -> None:
    sent = put(node, "content-length: 5", concept="long") + b"\r\n" + BODY + SMUGGLED
    assert set(raw.statuses(raw.exchange(node, sent))) == {400}
    assert not is_stored(node, "long")


@pytest.mark.parametrize(
    "flood",
    [
        "".join(f"x{n}: y\r\n" for n in range(5000)),
        f"x: {'y' * (2 << 20)}\r\n",
        f"cookie: {'y' * (2 << 20)}\r\n",
    ],
    ids=["many", "long", "cookie"],
)
def test_a_flood_of_headers_is_cut_off(node: Node, flood: str) -> None:
    answer = raw.exchange(node, raw.head(node, "GET", path_of("x")) + flood.encode() + b"\r\n")
    assert raw.statuses(answer) in ([431], [])  # [] when it is cut off while it still sends
    assert raw.statuses(raw.exchange(node, b"GET /" + b"a" * (2 << 20) + b" HTTP/1.1\r\n\r\n")) in ([431], [])
    assert node.send("GET", "concepts/nobody").status_code == 404


def test_a_compressed_bomb_stays_compressed(node: Node) -> None:
    bomb = gzip.compress(b'{"text":"' + b"a" * (64 << 20) + b'"}')
    before = memory(node)
    for encoding in ("gzip", "deflate", "gzip, gzip"):
        answer = raw.exchange(
            node,
            put(node, f"content-encoding: {encoding}", f"content-length: {len(bomb)}", "connection: close")
            + b"\r\n" + bomb,
        )  # fmt: skip
        assert raw.statuses(answer) == [400]
    assert memory(node) - before < 32 << 20


def test_what_is_deep_or_twice_or_no_text_is_refused(node: Node) -> None:
    bodies = [
        b'{"properties":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b',"text":"a"}',
        b'{"properties":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b'},"text":"a"}',
        b'{"text":"a","text":"b"}',
        b'{"text":"a","properties":{"a":1,"a":2}}',
        b'{"text":"a","te\\u0078t":"b"}',
        b'{"text":"\xc0\xae"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"\xff"}',
        b'\xef\xbb\xbf{"text":"a"}', '{"text":"a"}'.encode("utf-16"), b'{"text":"a"}\0', b'{"text":"a"} {}',
    ]  # fmt: skip
    for body in bodies:
        answer = node.send("PUT", "concepts/deep", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid"), body[:40]
    assert not is_stored(node, "deep")


@pytest.mark.slow
def test_slow_senders_are_cut_off_and_hold_up_nobody(node: Node) -> None:
    """Fifty send a byte of their bodies now and then, fifty never read their answers; others are served."""
    long = "x" * 60_000
    node.ask("PUT", "concepts/long-text", {"text": long})
    ended, slow, statuses = threading.Event(), put(node, "content-length: 5000") + b"\r\n{", list[int]()

    def send_slowly() -> None:
        with raw.connected(node) as connection:
            connection.sendall(slow)
            answer = connection.recv(1 << 16)
            statuses.extend(raw.statuses(answer))

    def read_never() -> None:
        with raw.connected(node) as connection:
            connection.sendall((raw.head(node, "GET", path_of("long-text")) + b"\r\n") * 100)
            ended.wait()

    crowd = [threading.Thread(target=each) for each in [send_slowly] * 50 + [read_never] * 50]
    before = memory(node)
    for thread in crowd:
        thread.start()
    try:
        while any(thread.is_alive() for thread in crowd[:50]):
            assert node.ask("GET", "concepts/long-text")["text"] == long
            time.sleep(0.2)
    finally:
        ended.set()
        for thread in crowd:
            thread.join()
    assert statuses == [408] * 50
    assert memory(node) - before < 128 << 20


def test_a_flood_of_garbage_tokens_ends_in_a_penalty_and_others_are_served(node: Node) -> None:
    url, head = path_of("nobody"), "host: x\r\nx-forwarded-for: 203.0.113.9\r\n"
    flood = [f"GET {url} HTTP/1.1\r\n{head}authorization: Bearer a.{n}.b\r\n\r\n" for n in range(100)]
    last = f"GET {url} HTTP/1.1\r\n{head}connection: close\r\nauthorization: Bearer a.b.c\r\n\r\n"
    answer = raw.exchange(node, "".join([*flood, last]).encode())
    assert raw.statuses(answer)[0] == 401
    assert raw.statuses(answer)[-1] == 429
    assert set(raw.statuses(answer)) == {401, 429}
    assert b"rate_limited" in answer
    good = node.send_raw("GET", url, node.keys["acme"], headers={"x-forwarded-for": "203.0.113.10"})
    assert good.status_code == 404


def memory(node: Node) -> int:
    """Return the bytes of memory that a node has."""
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * 4096


def test_a_position_that_is_none_is_refused_wherever_it_stands(node: Node) -> None:
    for position in ("x", "1.2", "1.2.3.4", "-1.0.0", "1" * 40 + ".0.0", "1023.0.0"):
        for method, path, body in (("GET", "concepts/x", b""), ("POST", "query", b'{"text":"a"}')):
            answer = node.send_raw(
                method, f"/v1/tenants/acme/cortices/main/{path}", node.keys["acme"], body,
                {"cortex-position": position},
            )  # fmt: skip
            assert answer.status_code == 400, (position, path)
