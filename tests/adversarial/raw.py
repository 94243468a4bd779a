"""HTTP by hand: bytes as an attacker sends them, and what comes back until the connection ends."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from unit.server.node import Node

PATIENCE = 25.0


@contextmanager
def connected(node: Node) -> Iterator[ssl.SSLSocket]:
    """Give a connection to a node, as its load balancer has."""
    context = ssl.create_default_context(cafile=str(node.directory / "ca.crt"))
    context.load_cert_chain(node.directory / "node.pem")
    with (
        socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def head(node: Node, method: str, path: str, *headers: str, tenant: str = "acme") -> bytes:
    """Return a request line with headers, with a tenant's token, and without the empty line behind."""
    lines = (
        f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {node.keys[tenant]}", *headers
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in lines).encode()


def exchange(node: Node, *parts: bytes, end: bool = False) -> bytes:
    """Send bytes, and return all that comes back until the other side, or (`end`) this one, closes."""
    found = b""
    with connected(node) as connection, suppress(OSError):
        for part in parts:
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            found += part
    return found


def statuses(answer: bytes) -> list[int]:
    """Return the status of each response in what came back."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]
