"""Who comes to a node with a certificate that is none, or is shown one: no request is made of it."""

from __future__ import annotations

import datetime
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity
from unit.server.node import Node

# A client of TLS 1.3 learns that it is refused when it reads.
REFUSED = (ssl.SSLError, ConnectionResetError, BrokenPipeError)


def ask(node: Node, context: ssl.SSLContext, name: str = "127.0.0.1") -> bytes:
    """Return what a node answers to whoever connects so."""
    with (
        socket.create_connection(("127.0.0.1", node.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return connection.recv(1 << 12)


def trusting(node: Node, own: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(node.directory / "ca.crt"))
    if own is not None:
        context.load_cert_chain(own)
    return context


def of_ca(node: Node, tmp_path: Path, identity: Identity) -> Path:
    authority = certificates.open_authority(node.directory, "test")
    certificates.ensure(authority, tmp_path, identity)
    return tmp_path / identity.file


def expired(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(certificates, "LIFETIME", datetime.timedelta(minutes=-1))
    return of_ca(node, tmp_path, Identity("old", "eu-west-1"))


def not_yet(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(certificates, "SKEW", datetime.timedelta(days=-1))
    return of_ca(node, tmp_path, Identity("early", "eu-west-1"))


def serving_alone(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return of_ca(node, tmp_path, Identity("front", "front", asks=False))


def strangers(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    authority = certificates.open_authority(tmp_path, "test")  # of the same name, by another key
    certificates.ensure(authority, tmp_path, Identity("node", "eu-west-1"))
    return tmp_path / "node.pem"


BAD: dict[str, Callable[[Node, Path, pytest.MonkeyPatch], Path]] = {
    "expired": expired, "not yet valid": not_yet, "for servers": serving_alone, "a stranger's": strangers,
}  # fmt: skip


def test_a_good_certificate_is_let_in(node: Node) -> None:
    assert ask(node, trusting(node, node.directory / "node.pem")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("made", BAD.values(), ids=BAD)
def test_a_bad_certificate_is_not_let_in(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Node, Path, pytest.MonkeyPatch], Path],
) -> None:  # fmt: skip
    with pytest.raises(REFUSED):
        pytest.fail(f"let in: {ask(node, trusting(node, made(node, tmp_path, monkeypatch)))!r}")


def test_who_shows_none_or_speaks_an_old_version_or_plain_text_is_not_let_in(node: Node) -> None:
    with pytest.raises(REFUSED):
        pytest.fail(f"let in: {ask(node, trusting(node, None))!r}")
    old = trusting(node, node.directory / "node.pem")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(REFUSED):
        pytest.fail(f"let in: {ask(node, old)!r}")
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not plain.recv(1 << 12).startswith(b"HTTP")


def test_a_node_of_another_name_is_not_believed(node: Node) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(node, trusting(node, node.directory / "node.pem"), name="203.0.113.7")
