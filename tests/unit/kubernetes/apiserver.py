"""A small API server: TLS, bearer tokens, and objects as a real one has them, checked by their schemas."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity

VERSION = "1.37"
TOKEN = "a-good-token"
Answer = tuple[int, Any]
Object = dict[str, Any]


@dataclass
class ApiServer:
    """What it has by path, what it answers otherwise (`faults`, by method and path), and what it was asked.

    A fault is called with the request's body, and returns None to let it through.
    """

    directory: Path
    port: int = 0
    objects: dict[str, Any] = field(default_factory=dict)
    faults: dict[tuple[str, str], Callable[[Any], Answer | None]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def put(self, path: str, found: Object) -> Object:
        """Have an object at a path; it must be what its schema says."""
        kubernetes_validate.validate(found, VERSION, strict=True)
        self.objects[path] = found
        return found

    def kubeconfig(self, name: str = "kubeconfig", *, token: str = TOKEN, port: int | None = None) -> Path:
        """Write the file of a user."""
        cluster = {
            "server": f"https://127.0.0.1:{port or self.port}",
            "certificate-authority": str(self.directory / "ca.crt"),
        }
        path = self.directory / name
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "trial",
                    "clusters": [{"name": "trial", "cluster": cluster}],
                    "users": [{"name": "ada", "user": {"token": token}}],
                    "contexts": [{"name": "trial", "context": {"cluster": "trial", "user": "ada"}}],
                }
            )
        )
        return path

    def count(self, method: str, path: str) -> int:
        """Return how often it was asked so."""
        return sum((m, p) == (method, path) for m, p, _ in self.asked)

    def answer(self, method: str, target: str, token: str, body: Any) -> Answer:
        """Return status and content."""
        parts = urlsplit(target)
        self.asked.append((method, parts.path, body))
        if token != f"Bearer {TOKEN}":
            return failure(401, "Unauthorized", "Unauthorized")
        if (fault := self.faults.get((method, parts.path))) and (answer := fault(body)):
            return answer
        if method == "POST" and parts.path.endswith("/eviction"):
            kubernetes_validate.validate(body, VERSION, strict=True)
            self.objects.pop(parts.path.removesuffix("/eviction"), None)
            return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if method == "PATCH":
            return self._patched(parts.path, body)
        if parts.path in self.objects:
            return 200, self.objects[parts.path]
        return self._listed(parts.path, parse_qs(parts.query))

    def _patched(self, path: str, body: Any) -> Answer:
        found = self.objects.get(path.removesuffix("/scale"))
        if found is None:
            return failure(404, "NotFound", f"{path} not found")
        found["spec"] |= body["spec"]
        return 200, found

    def _listed(self, path: str, query: dict[str, list[str]]) -> Answer:
        kind = path.rpartition("/")[2]
        if kind not in {"pods", "events", "leases", "secrets"}:
            return failure(404, "NotFound", f'{kind} "{path}" not found')
        found = [each for at, each in self.objects.items() if _is_in(at, path, kind)]
        for selector in query.get("fieldSelector", []):
            name, _, value = selector.partition("=")
            found = [each for each in found if _field(each, name) == value]
        return 200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": found}


def failure(code: int, reason: str, message: str) -> Answer:
    """Return a refusal, which is an object too."""
    return code, {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    }  # fmt: skip


@contextmanager
def serving(directory: Path) -> Iterator[ApiServer]:
    """Give a server on 127.0.0.1."""
    authority = certificates.open_authority(directory, "cluster")
    certificates.ensure(authority, directory, Identity("apiserver", "apiserver"))
    made = ApiServer(directory)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "apiserver.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("authorization", "")
            status, content = server.answer(self.command, self.path, token, body)
            if status == 0:  # the connection breaks before there is an answer
                self.close_connection = True
                return
            text = isinstance(content, str)
            raw = content.encode() if text else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "text/plain" if text else "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = _do  # noqa: N815

        def log_message(self, *words: object) -> None:
            pass

    return Handler


def _is_in(at: str, path: str, kind: str) -> bool:
    place, _, _ = at.rpartition("/")
    if path == f"/api/v1/{kind}":  # of all namespaces
        return place.startswith("/api/v1/namespaces/") and place.endswith(f"/{kind}")
    return place == path


def _field(found: Object, name: str) -> Any:
    for part in name.split("."):
        found = found.get(part, {})
    return found
