"""A real node on a database of its own: the process that a deployment runs, asked by HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats.keyring import new_keyring, parse
from cortex_runtime.formats.tokenkeys import new_token_keys
from cortex_runtime.formats.tokenkeys import parse as parse_token_keys
from cortex_runtime.formats.tokens import mint_operator_token
from cortexctl import policies
from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity

T = TypeVar("T")
REGION, PATIENCE = "eu-west", 30.0
TENANTS = ("acme", "other")


class Tokens(dict[str, str]):
    """Tokens by tenant, which are good for five minutes: one that is older than two is renewed first.

    Safe for threads: the clients of a test ask for one at the same time.
    """

    def __init__(self, renew: Callable[[str], str]) -> None:
        super().__init__()
        self._renew = renew
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def __setitem__(self, tenant: str, token: str) -> None:
        super().__setitem__(tenant, token)
        self._since[tenant] = time.monotonic()

    def __getitem__(self, tenant: str) -> str:
        with self._lock:
            if tenant in self and time.monotonic() - self._since[tenant] > 120.0:
                self[tenant] = self._renew(tenant)
            return super().__getitem__(tenant)


@dataclass
class Node:
    """A node's directory and process, and its callers: an operator, and two tenants."""

    directory: Path
    database_port: int
    port: int = 0
    keys: Tokens = field(init=False)
    keys_url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.keys = Tokens(self.renew_token)

    @cached_property
    def http(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.load_cert_chain(self.directory / "node.pem")
        return httpx.Client(verify=context, trust_env=False, timeout=20.0)

    def prepare(self) -> None:
        """Write what a node is told."""
        authority = certificates.open_authority(self.directory, "test")
        certificates.ensure(authority, self.directory, Identity("node", "eu-west-1"))
        keyring = parse(new_keyring())
        for tenant in TENANTS:
            keyring = keyring.with_tenant(tenant)
        (self.directory / "keyring.json").write_bytes(keyring.to_bytes())
        (self.directory / "token-keys.json").write_bytes(new_token_keys("node").to_bytes())
        operator = new_token_keys("operator")
        (self.directory / "operator").mkdir()
        (self.directory / "operator" / "token-keys.json").write_bytes(operator.to_bytes())
        (self.directory / "operator-keys.json").write_bytes(operator.public().to_bytes())
        pem, private = serialization.Encoding.PEM, Ed25519PrivateKey.generate()
        (self.directory / "checkpoint.key").write_bytes(
            private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (self.directory / "checkpoint.pub").write_bytes(
            private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.directory / "node.json").write_text(json.dumps(self._config()))

    def start(self, *failpoints: str) -> None:
        """Start it, to end itself at failpoints if any are named, and return when it owns all slots."""
        with (self.directory / "log").open("ab") as log:
            words = [sys.executable, "-P", "-m", "cortex_runtime.main", "serve"]
            self.process = subprocess.Popen(
                [*words, str(self.directory / "node.json")], stdout=log, stderr=log,
                # Which kernels is all the same here, and without numba it starts in a third of the time.
                env={**os.environ, "CORTEX_KERNELS": "numpy", "CORTEX_FAILPOINTS": ",".join(failpoints)},
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while not self._is_healthy():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, by a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=PATIENCE)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def onboard(self) -> None:
        """Make the tenants, and log in as each."""
        for tenant in TENANTS:
            quota = {"concepts": 10**6, "columns": 10**6, "storage": 10**9, "requests": 20_000}
            answer = self.operator(
                "POST", "/v1/tenants", tenant=tenant, tier="enterprise", quota=quota, keyring_generation=1
            )
            self.keys[tenant] = self._log_in(tenant, answer["api_key"])

    def renew_token(self, tenant: str) -> str:
        """Log in anew: a token is good for five minutes."""
        answer = self.operator("POST", f"/v1/tenants/{tenant}/api-keys", role="admin")
        return self._log_in(tenant, answer["api_key"])

    def _log_in(self, tenant: str, api_key: str) -> str:
        until = time.monotonic() + PATIENCE
        body = {"tenant": tenant, "api_key": api_key}
        while True:
            answer = self.http.post(f"https://127.0.0.1:{self.port}/v1/login", json=body)
            if answer.status_code == 200:
                return str(answer.json()["token"])
            assert time.monotonic() < until, answer.text  # it looks for new tenants five times a second
            time.sleep(0.1)

    def operator(self, method: str, path: str, **body: Any) -> Any:
        """Return what an operator is answered."""
        return self._as_operator(method, path, json.dumps(body).encode() if body else b"").json()

    def metrics(self) -> str:
        """Return the node's metrics."""
        return self._as_operator("GET", "/metrics", b"").text

    def as_operator(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        """Return the answer to an operator's request."""
        return self.send_raw(method, path, self.operator_token(), content)

    def operator_token(self) -> str:
        """Return a new token of an operator."""
        keys = (self.directory / "operator" / "token-keys.json").read_bytes()
        return mint_operator_token(parse_token_keys(keys), "ada")

    def _as_operator(self, method: str, path: str, content: bytes) -> httpx.Response:
        answer = self.as_operator(method, path, content)
        assert answer.status_code == 200, answer.text
        return answer

    def send(
        self, method: str, path: str, body: Any = None, *, tenant: str = "acme", cortex: str = "main"
    ) -> httpx.Response:
        """Return the answer to a tenant's request; a body that is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        steps = "/".join(quote(step, safe="") for step in path.split("/"))
        return self.send_raw(
            method, f"/v1/tenants/{tenant}/cortices/{cortex}/{steps}", self.keys[tenant], content
        )

    def get_raw(self, path: str, *, tenant: str = "acme") -> httpx.Response:
        """Return the answer to a tenant's GET of any path."""
        return self.send_raw("GET", path, self.keys[tenant])

    def ask(self, method: str, path: str, body: Any = None, **options: str) -> Any:
        """Return the content of a good answer."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def slots(self) -> dict[int, tuple[int, str]]:
        """Return seq and hash of every slot that has something."""
        report = self.operator("GET", "/v1/health?hashes=true")
        return {slot["slot"]: (slot["position"]["seq"], slot["digest"]) for slot in report["slots"]}

    def send_raw(
        self, method: str, path: str, token: str, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Return the answer to whatever request."""
        return self.http.request(
            method, f"https://127.0.0.1:{self.port}{path}", content=content,
            headers={**({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})},
        )  # fmt: skip

    def _is_healthy(self) -> bool:
        try:
            report = self.operator("GET", "/v1/health")
        except httpx.TransportError:
            return False
        return bool(report["status"] == "healthy" and report["owned"] == 1024)

    def _keyring_url(self) -> str:
        return f"{(self.directory / 'keyring.json').as_uri()}?passphrase={self.directory / 'passphrase'}"

    def _config(self) -> dict[str, Any]:
        here = {name: str(self.directory / name) for name in (
            "ca.crt", "node.pem", "token-keys.json", "operator-keys.json", "keyring.json",
            "log", "snapshots", "checkpoint.key",
        )}  # fmt: skip
        host = {"region": REGION, "host": "127.0.0.1", "port": self.database_port}
        return {
            "deployment": "test", "name": "eu-west-1", "region": REGION, "host": "127.0.0.1",
            "port": self.port, "keys": self.keys_url or self._keyring_url(), "log": here["log"],
            "snapshots": here["snapshots"], "checkpoint_key": here["checkpoint.key"],
            "tls": {"ca": here["ca.crt"], "certificate": here["node.pem"], "key": here["node.pem"]},
            "database": {"name": "cortexkg", "user": "cortex", "hosts": [host]},
            "tokens": {"node": here["token-keys.json"], "operator": here["operator-keys.json"]},
            "rbac": str(policies.find("rbac.yaml")),
        }  # fmt: skip


def eventually(check: Callable[[], T]) -> T:
    """Return what `check` returns, once it does not fail."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return check()
        except (AssertionError, LookupError, StopIteration):
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


@contextmanager
def running(directory: Path, database_port: int) -> Iterator[Node]:
    """Give a node that is healthy and has its tenants; it is ended whatever happens."""
    made = Node(directory, database_port)
    made.prepare()
    try:
        made.start()
        made.onboard()
        yield made
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()
