"""A node's certificate is replaced while it serves."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from cryptography import x509

from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity
from unit.server.node import Node

NODE = Identity("node", "eu-west-1")


def presented(node: Node) -> int:
    """Return the serial of the certificate that the node's listener shows."""
    context = ssl.create_default_context(cafile=str(node.directory / "ca.crt"))
    context.load_cert_chain(node.directory / "node.pem")
    with (
        socket.create_connection(("127.0.0.1", node.port), timeout=5.0) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"").serial_number


def serial(node: Node) -> int:
    return x509.load_pem_x509_certificate((node.directory / "node.pem").read_bytes()).serial_number


def renew(node: Node) -> None:
    authority = certificates.open_authority(node.directory, "test")
    certificates.ensure(authority, node.directory, NODE, anew=True)


def until_presented(node: Node, wanted: int) -> None:
    until = time.monotonic() + 15.0
    while presented(node) != wanted:
        assert time.monotonic() < until, node.log[-2000:]
        time.sleep(0.1)


@contextmanager
def asked(node: Node) -> Iterator[list[str]]:
    """Ask on two connections without end, one kept and one made anew each time; give what failed."""
    failures: list[str] = []
    ended = threading.Event()
    context = ssl.create_default_context(cafile=str(node.directory / "ca.crt"))
    context.load_cert_chain(node.directory / "node.pem")

    def ask(*, kept: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if kept else 0)
        with httpx.Client(verify=context, trust_env=False, timeout=10.0, limits=limits) as client:
            while not ended.is_set():
                try:
                    _get(client, node)
                except httpx.HTTPError as error:
                    failures.append(f"kept={kept} {error!r}")
                time.sleep(0.002)

    threads = [threading.Thread(target=ask, kwargs={"kept": kept}) for kept in (True, False)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _get(client: httpx.Client, node: Node) -> None:
    """Ask as HAProxy does (retry-on conn-failure empty-response): once more when there was no answer."""
    url = f"https://127.0.0.1:{node.port}/healthz"
    try:
        client.get(url).raise_for_status()
    except (httpx.ConnectError, httpx.RemoteProtocolError):
        client.get(url).raise_for_status()


def test_a_new_certificate_is_served_without_a_failed_request(node: Node) -> None:
    assert node.process is not None
    pid, before = node.process.pid, presented(node)
    with asked(node) as failures:
        for _ in range(2):
            renew(node)
            until_presented(node, serial(node))
            time.sleep(1.0)  # the old listener's last connections
    assert presented(node) != before
    assert failures == []
    assert (node.process.poll(), node.process.pid) == (None, pid)


def test_a_pair_that_does_not_fit_or_is_over_is_not_taken_up(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(node)
    until_presented(node, serial(node))
    good = (node.directory / "node.pem").read_bytes()
    served = serial(node)
    refusals = node.log.count("certificate not taken up")
    try:
        renew(node)
        other = (node.directory / "node.pem").read_bytes()
        begin = b"-----BEGIN PRIVATE"
        (node.directory / "node.pem").write_bytes(other[: other.index(begin)] + good[good.index(begin) :])
        until_logged(node, "certificate not taken up", refusals + 1)
        monkeypatch.setattr(certificates, "LIFETIME", datetime.timedelta(minutes=-1))
        renew(node)
        until_logged(node, "it is not valid now", 1)
    finally:
        (node.directory / "node.pem").write_bytes(good)
    assert presented(node) == served


def until_logged(node: Node, words: str, times: int) -> None:
    until = time.monotonic() + 10.0
    while node.log.count(words) < times:
        assert time.monotonic() < until, node.log[-2000:]
        time.sleep(0.1)


def test_the_health_report_says_that_a_certificate_is_about_to_expire(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node.operator("GET", "/v1/health")["reasons"] == []
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "LIFETIME", datetime.timedelta(days=3))
        renew(node)
    until_presented(node, serial(node))
    report = node.operator("GET", "/v1/health")
    assert report["reasons"] == ["certificate: expires in 3.0 days"]
    assert report["status"] == "healthy"
    renew(node)
    until_presented(node, serial(node))
    assert node.operator("GET", "/v1/health")["reasons"] == []
