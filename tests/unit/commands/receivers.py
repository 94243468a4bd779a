"""Receivers of events that are real servers on this machine: HTTPS for HEC and webhooks, TLS for syslog."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity

# What a receiver answers to its nth request: a status, headers and a body.
Answer = tuple[int, dict[str, str], bytes]
OK: Answer = (200, {}, b'{"text":"Success","code":0}')


@dataclass
class Received:
    """What arrived: headers and bodies of requests, or messages of syslog."""

    port: int
    ca: Path
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def hec_ids(self) -> list[str]:
        return [json.loads(line)["event"]["id"] for _, _, body in self.requests for line in body.split(b"\n")
                if b'"event"' in line]  # fmt: skip

    def hook_ids(self) -> list[str]:
        return [event["id"] for _, _, body in self.requests for event in json.loads(body)["events"]]

    def syslog_ids(self) -> list[str]:
        return [json.loads(each.partition(b"] {")[2].join([b"{", b""]))["id"] for each in self.messages]


def context(directory: Path) -> ssl.SSLContext:
    """Make a CA and a certificate of this machine, and return the server's side."""
    authority = certificates.open_authority(directory, "receivers")
    certificates.ensure(authority, directory, Identity("receiver", "receiver"))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(directory / "receiver.pem")
    return found


@contextmanager
def https(directory: Path, answer: Callable[[int], Answer] = lambda number: OK) -> Iterator[Received]:
    """Serve HTTPS; a status of 0 means to keep the connection and say nothing."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.requests.append((self.path, headers, body))
            status, more, content = answer(len(received.requests))
            if not status:
                ended.wait(30)
                return
            self.send_response(status)
            for name, value in {**more, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context(directory).wrap_socket(server.socket, server_side=True)
    received = Received(server.server_address[1], directory / "ca.crt")
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield received
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def syslog(directory: Path, *, cut: Callable[[int], bool] = lambda number: False) -> Iterator[Received]:
    """Serve syslog over TLS; `cut` tells which connections end before they were read."""
    secured = context(directory)
    listener = socket.create_server(("127.0.0.1", 0))
    received, count = Received(listener.getsockname()[1], directory / "ca.crt"), 0

    def serve() -> None:
        nonlocal count
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            count += 1
            with contextlib.suppress(OSError), secured.wrap_socket(plain, server_side=True) as connection:
                if cut(count):
                    continue
                content = b""
                while part := connection.recv(65536):
                    content += part
                received.messages.extend(unframed(content))
                connection.unwrap().close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def unframed(content: bytes) -> list[bytes]:
    """Return the messages of a stream by their lengths (RFC 5425)."""
    found = []
    while content:
        length, _, content = content.partition(b" ")
        found.append(content[: int(length)])
        content = content[int(length) :]
    return found
