"""Attacks on a whole deployment: on its front door, and on what its secrets might have got into."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cortexctl import credentials
from cortexctl.platforms.local import processes
from integration.running import Running, concept_path, eventually, put

PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.+?)\n", re.DOTALL)


@contextmanager
def front_door(running: Running) -> Iterator[ssl.SSLSocket]:
    """Give a connection to a region's load balancer, as anybody has."""
    region = running.deployment.regions[0]
    context = ssl.create_default_context(cafile=str(running.deployment.ca_certificate))
    with (
        socket.create_connection(("127.0.0.1", region.load_balancer_port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def answers(running: Running, *parts: bytes) -> list[int]:
    """Send bytes to the front door, and return the status of each answer until it closes."""
    found = b""
    with front_door(running) as connection, suppress(OSError):
        for part in parts:
            connection.sendall(part)
        while part := connection.recv(1 << 16):
            found += part
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", found)]


def test_the_front_door_takes_nothing_for_something_else(running: Running, tenant: str) -> None:
    path = concept_path(tenant, "smuggled")
    hidden = f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()

    def head(*lines: str) -> bytes:
        return "".join(f"{line}\r\n" for line in (f"PUT {path} HTTP/1.1", "host: x", *lines, "")).encode()

    for lines in (
        ("content-length: 4", "content-length: 44"), ("content-length: +4",), ("content-length: -4",),
        ("transfer-encoding: xchunked",), (": x",), ("content-length : 4",),
    ):  # fmt: skip
        assert answers(running, head(*lines) + b"body" + hidden) == [400], lines
    # Chunks count, and nothing behind them is a request of anybody; it needs a token like any other.
    both = head("content-length: 4", "transfer-encoding: chunked", "connection: close")
    assert answers(running, both + b"0\r\n\r\n" + hidden) in ([400], [401])
    assert answers(running, head("x: a\0b", "connection: close")) == [400]
    bare = head("connection: close").replace(b"\r\n", b"\n")
    assert answers(running, bare) in ([400], [401])
    assert answers(running, head(*(f"x{n}: y" for n in range(500))))[0] in (400, 431)
    # It may be cut off while it still sends, and see no answer.
    assert answers(running, head(f"x: {'y' * (1 << 20)}")) in ([400], [431], [])


def test_a_client_that_is_slow_with_its_head_is_cut_off(running: Running, tenant: str) -> None:
    begun = f"PUT {concept_path(tenant, 'slow')} HTTP/1.1\r\nhost: x\r\n".encode()
    assert answers(running, begun) == [408]


def secrets_of(running: Running, tenant: str) -> dict[str, bytes]:
    """Return the secrets of a deployment by what they are."""
    here = running.deployment.directory
    found = {f"password of {role}": word for role, word in _json(here / "ca" / "database.json").items()}
    found["API key"] = credentials.api_key(running.deployment, tenant)
    found["root key"] = _json(here / "regions" / "eu-west" / "secrets" / "keyring.json")["root_key"]
    for path in (here / "secrets" / "token-keys.json", here / "operator" / "token-keys.json"):
        found |= {f"{path}": key["d"] for key in _json(path)["keys"]}
    for path in here.rglob("*"):
        if path.suffix in (".key", ".pem") and (key := PRIVATE_KEY.search(path.read_text())):
            found[str(path)] = key[1]
        if path.name == "supervisor.secret":
            found[str(path)] = path.read_text().strip()
    assert len(found) > 20
    return {name: secret.encode() for name, secret in found.items()}


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def leaks(secrets: dict[str, bytes], places: Iterable[tuple[str, bytes]]) -> set[tuple[str, str]]:
    """Return which secret is where."""
    return {
        (name, where) for where, content in places for name, secret in secrets.items() if secret in content
    }


def told_of_processes(pids: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Yield what anybody can see of processes (argv), and what their owner can (environment)."""
    for pid in pids:
        for part in ("cmdline", "environ"):
            with suppress(OSError):
                yield f"{part} of {pid}", Path(f"/proc/{pid}/{part}").read_bytes()


def test_no_secret_is_where_others_look(running: Running, tenant: str) -> None:
    with running.tenant(tenant) as client:
        put(client, tenant, "a", "some words")
    running.run("concept", "get", tenant, "nobody", expect=5)
    running.run("key", "rotate", "--tenant", tenant)
    here, secrets = running.deployment.directory, secrets_of(running, tenant)
    members = [one for region in here.glob("regions/*") for one in processes.tree(region)]
    members += processes.tree(here / "edge")
    assert len(members) > 20
    assert leaks(secrets, told_of_processes(one.pid for one in members)) == set()
    # Logs, states of Terraform, and whatever else more than its owner may read.
    files = [path for path in here.rglob("*") if path.is_file() and "postgres" not in path.parts]
    told = ("log", "terraform", "evidence")
    seen = [path for path in files if path.stat().st_mode & 0o077 or {*told} & {*path.parts}]
    for part in ("log", "terraform"):
        assert any(part in path.parts for path in seen)
    assert leaks(secrets, ((str(path), path.read_bytes()) for path in seen)) == set()
    # Nor is memory written to a file when something crashes.
    for one in members:
        with suppress(FileNotFoundError):
            limits = Path(f"/proc/{one.pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits), one


@pytest.mark.parametrize("where", ["argument", "environment", "file"])
def test_the_search_for_secrets_finds_one(running: Running, tenant: str, tmp_path: Path, where: str) -> None:
    secrets = secrets_of(running, tenant)
    secret = secrets["API key"].decode()
    if where == "file":
        (tmp_path / "log").write_text(f"request with {secret}\n")
        assert leaks(secrets, [("log", (tmp_path / "log").read_bytes())]) == {("API key", "log")}
        return
    words = [sys.executable, "-c", "input()", *([secret] if where == "argument" else [])]
    environment = {"SECRET": secret} if where == "environment" else {}
    part = "cmdline" if where == "argument" else "environ"
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=environment) as leaking:

        def check() -> None:
            found = leaks(secrets, told_of_processes([leaking.pid]))
            assert found == {("API key", f"{part} of {leaking.pid}")}

        try:
            eventually(check)  # a process that begins shows nothing of itself yet
        finally:
            leaking.kill()
