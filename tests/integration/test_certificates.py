"""Who is let in by which certificate, and that all of them are replaced while everything goes on."""

from __future__ import annotations

import datetime
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cortex_runtime.client import ClientError
from cortexctl import access, credentials
from cortexctl.deployment import Region
from cortexctl.platforms.local import certificates, identities
from cortexctl.platforms.local.certificates import Identity
from cortexctl.platforms.local.listeners import SSL_REQUEST
from integration.running import CORTEXCTL, Running, eventually, get, put

HTTP = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
REFUSED = (OSError, AssertionError)


@dataclass(frozen=True, slots=True)
class Door:
    """A listener; `own` is a certificate that it lets in, None when it asks for none."""

    name: str
    port: int
    ca: Path
    own: Path | None
    postgres: bool = False


def doors(running: Running, region: Region) -> list[Door]:
    """Return all listeners of a region, and the edge."""
    certs, ca = region.directory / "certs", running.deployment.ca_certificate
    arbiter, operator = certs / "arbiter-ca.crt", running.deployment.operator_certificate
    return [
        Door("edge", running.deployment.edge_port, ca, None),
        Door("load balancer", region.load_balancer_port, ca, None),
        Door("etcd clients", region.etcd_client_port, arbiter, certs / "arbiter.pem"),
        Door("etcd peers", region.etcd_peer_port, arbiter, certs / "etcd.pem"),
        Door("patroni", region.patroni_port, ca, operator),
        Door("database", region.postgres_port, ca, None, postgres=True),
        *(Door(node.name, node.port, ca, operator) for node in region.nodes),
    ]


def trusting(door: Door, own: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(door.ca))
    if own:
        context.load_cert_chain(own)
    return context


def ask(door: Door, context: ssl.SSLContext | None) -> bytes:
    """Return what a listener answers, in TLS or in plain text. Raises OSError when it refuses."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=5.0) as raw:
        if context is None:
            raw.sendall(HTTP)
            return raw.recv(1024)
        if door.postgres:
            raw.sendall(SSL_REQUEST)
            assert raw.recv(1) == b"S"
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(b"\0\0\0\x08\0\0\0\0" if door.postgres else HTTP)
            answer = wrapped.recv(1024)
            assert answer  # a door that is shut after the handshake
            return answer


@pytest.fixture(scope="module")
def region(running: Running) -> Region:
    running.healthy()
    return running.deployment.regions[0]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A certificate of another CA, which says that it is a node, or whoever is asked for."""
    authority = certificates.open_authority(tmp_path, "stranger")
    for name in ("eu-west-1", "etcd", "cortex"):
        certificates.ensure(authority, tmp_path, Identity(name, name))
    return tmp_path


def test_no_listener_speaks_plain_text(running: Running, region: Region) -> None:
    supervisor = Door("supervisor", region.supervisor_port, running.deployment.ca_certificate, None)
    assert ask(supervisor, None).startswith(b"HTTP/1.1 401")  # the one that does, for its password
    for door in doors(running, region):
        if door.postgres:
            continue  # the next test
        try:
            answer = ask(door, None)
        except OSError:
            continue
        assert not answer.startswith(b"HTTP") or b" 400 " in answer, (door.name, answer)


def database(running: Running, region: Region, role: str, own: Path | None, **options: Any) -> str:
    """Return who the database says that one is. Raises psycopg.OperationalError."""
    passwords = json.loads((running.deployment.directory / "ca" / "database.json").read_bytes())
    given: dict[str, Any] = {
        "host": "127.0.0.1", "port": region.postgres_port, "user": role, "password": passwords[role],
        "dbname": "cortexkg", "sslmode": "verify-full", "sslrootcert": running.deployment.ca_certificate,
        "sslcert": own or "/nonexistent", "sslkey": own or "/nonexistent", "connect_timeout": 5,
    }  # fmt: skip
    with psycopg.connect(**given | options) as connection:
        found = connection.execute(
            "select current_user || ' ' || version from pg_stat_ssl where pid = pg_backend_pid() and ssl"
        ).fetchone()
        assert found
        return str(found[0])


def test_a_role_of_the_database_needs_its_own_certificate_and_its_password(
    running: Running, region: Region, stranger: Path
) -> None:
    certs = region.directory / "certs"
    enter = partial(database, running, region)
    assert enter("cortex", certs / "role-cortex.pem") == "cortex TLSv1.3"
    assert enter("postgres", certs / "role-postgres.pem") == "postgres TLSv1.3"
    refused: list[tuple[str, Path | None, dict[str, Any], str]] = [
        ("cortex", None, {"sslmode": "disable"}, "no encryption"),
        ("cortex", None, {}, "client certificate"),
        # The server says the same whichever of the two is wrong.
        ("cortex", certs / "role-postgres.pem", {}, "authentication failed"),
        ("postgres", certs / "role-cortex.pem", {}, "authentication failed"),
        ("postgres", certs / f"{region.nodes[0].name}.pem", {}, "authentication failed"),
        ("postgres", certs / "postgres.pem", {}, "unsupported certificate|unsuitable"),
        ("cortex", certs / "role-cortex.pem", {"password": "guessed"}, "password authentication failed"),
        ("cortex", stranger / "cortex.pem", {}, "unknown ca|certificate verify failed"),
        ("cortex", certs / "role-cortex.pem", {"host": "127.0.0.2"}, "refused|does not match"),
    ]
    for role, own, options, why in refused:
        with pytest.raises(psycopg.OperationalError, match=why):
            enter(role, own, **options)


def test_who_has_no_certificate_or_a_strangers_is_not_let_in(
    running: Running, region: Region, stranger: Path
) -> None:
    for door in doors(running, region):
        if door.own is None:
            continue
        if door.name != "etcd peers":  # which speaks to members alone
            assert ask(door, trusting(door, door.own)).startswith(b"HTTP/1."), door
        for own in (None, stranger / "eu-west-1.pem", stranger / "etcd.pem"):
            with pytest.raises(REFUSED):
                pytest.fail(f"{door.name} let {own} in: {ask(door, trusting(door, own))!r}")


def test_the_arbiter_lets_in_nobody_but_patroni_and_its_own(running: Running, region: Region) -> None:
    certs = region.directory / "certs"
    clients, peers = (
        next(door for door in doors(running, region) if door.name == name)
        for name in ("etcd clients", "etcd peers")
    )
    for name in ("patroni", region.nodes[0].name, "balancer", "role-postgres"):
        own = certs / f"{name}.pem"
        for door in (clients, peers):
            with pytest.raises(REFUSED):
                pytest.fail(f"{door.name} let {name} in: {ask(door, trusting(door, own))!r}")
    with pytest.raises(REFUSED):
        pytest.fail(f"Patroni is no member: {ask(peers, trusting(peers, certs / 'arbiter.pem'))!r}")


def test_old_versions_of_tls_are_refused(running: Running, region: Region, tmp_path: Path) -> None:
    authority = certificates.open_authority(tmp_path, "old")
    certificates.ensure(authority, tmp_path, Identity("old", "old"))
    if not _speaks_old(tmp_path):
        pytest.skip("this OpenSSL does not speak TLS 1.1 to anybody")
    for door in doors(running, region):
        context = _weak(trusting(door, door.own))
        if door.name != "etcd peers":
            assert ask(door, context)  # all but the version is to its liking
        with pytest.raises(ssl.SSLError):
            pytest.fail(f"{door.name} speaks TLS 1.1: {ask(door, _old(context))!r}")


def _weak(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


def _speaks_old(directory: Path) -> bool:
    server = _old(_weak(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))
    server.load_cert_chain(directory / "old.pem")
    client = _old(_weak(ssl.create_default_context(cafile=str(directory / "ca.crt"))))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in (*ends, *ends, *ends):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            return False
    return ends[0].version() == "TLSv1.1"


@contextmanager
def load(running: Running, tenant: str) -> Iterator[list[str]]:
    """Write and read without end, by a kept connection and by new ones; give what failed, repeat nothing."""
    failures: list[str] = []
    done: list[str] = []
    ended = threading.Event()

    def go(worker: str, turn: Callable[[str], None]) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            try:
                turn(f"{worker}{number}")
                done.append(worker)
            except (ClientError, AssertionError) as error:
                failures.append(f"{worker}{number}: {error!r}")
            time.sleep(0.01)

    def turn(client: Any, name: str) -> None:
        position = put(client, tenant, name, f"written as {name}").position
        assert get(client, tenant, name, position=position).text == f"written as {name}"

    key = credentials.api_key(running.deployment, tenant)
    token = access.token_source(running.deployment, tenant, key)

    def anew(name: str) -> None:
        with access.open_client(running.deployment, token=token, deadline=0) as client:
            turn(client, name)

    with running.tenant(tenant, deadline=0) as kept:
        threads = [
            threading.Thread(target=go, args=("kept", partial(turn, kept))),
            threading.Thread(target=go, args=("anew", anew)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield failures
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert {"kept", "anew"} <= set(done)


def lasting(running: Running) -> set[str]:
    """Return the processes of all regions and of the edge that nothing but a restart changes."""
    places = ("edge", *running.deployment.nodes_a_region)
    every = (process for place in places for process in running.platform.region_processes(place))
    return {process for process in every if not _backend(int(process.split()[0]))}


def _backend(pid: int) -> bool:
    """Return whether it is one of PostgreSQL's children, which come and go with their connections."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"postgres: ")
    except FileNotFoundError:
        return True


def serials(running: Running) -> dict[tuple[str, str], str]:
    """Return what the listeners show; all show what their files hold."""
    found = {}
    for row in running.json("certificate", "list"):
        for listener, serial in row["in_use"].items():
            assert serial == row["serial"], row
            found[row["place"], listener] = serial
    return found


def test_everything_is_renewed_while_everything_goes_on(running: Running, tenant: str) -> None:
    before, processes = serials(running), lasting(running)
    regions, nodes = len(running.deployment.regions), len(running.deployment.nodes)
    assert len(before) == 6 * regions + nodes
    with load(running, tenant) as failures:
        time.sleep(1.0)
        renewed = running.json("certificate", "renew", "--all")
        time.sleep(2.0)
    assert failures == []
    assert len(renewed) == 1 + 10 * regions + nodes
    after = serials(running)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert lasting(running) == processes


def test_a_renewal_that_is_killed_is_finished_by_the_next(running: Running, region: Region) -> None:
    last = running.deployment.regions[-1]
    for path in (
        region.directory / "certs" / "postgres.pem",
        last.directory / "certs" / f"{last.nodes[-1].name}.pem",  # all are replaced, nobody is told
    ):
        before = path.read_bytes()
        process = subprocess.Popen(
            [CORTEXCTL, "--deployment", running.deployment.name, "certificate", "renew", "--all"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(partial(_replaced, path, before), pause=0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    told = [row["name"] for row in running.json("certificate", "list") if "older" in str(row["shown_by"])]
    assert {"server", "balancer", "postgres", "patroni"} <= set(told)
    running.run("certificate", "renew")
    serials(running)


def _replaced(path: Path, before: bytes) -> None:
    assert path.read_bytes() != before


def test_a_certificate_that_has_expired_is_told_and_renewed(
    running: Running, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.open_authority(running.deployment.directory / "ca", running.deployment.name)
    monkeypatch.setattr(certificates, "LIFETIME", datetime.timedelta(minutes=-1))
    rewind = Identity("role-rewind", "rewind", serves=False)
    certificates.ensure(authority, region.directory / "certs", rewind, anew=True)

    listed = running.run("certificate", "list", "--output", "json", expect=3)
    states = {(row["place"], row["name"]): row["state"] for row in json.loads(listed.stdout)}
    assert {key for key, state in states.items() if state != "ok"} == {(region.name, "role-rewind")}
    assert states[region.name, "role-rewind"] == "expired"
    told = f"The certificate role-rewind of {region.name} has expired"
    assert told in listed.stderr
    assert told in running.json("status", expect=3)["reasons"]

    planned = running.json("certificate", "renew", "--dry-run")
    assert [(row["place"], row["name"]) for row in planned] == [(region.name, "role-rewind")]
    assert running.json("certificate", "renew")[0]["state"] == "ok"
    assert "Nothing to do" in running.run("certificate", "renew").stderr


def test_up_renews_what_is_due(running: Running, region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = certificates.open_authority(running.deployment.directory / "ca", running.deployment.name)
    monkeypatch.setattr(certificates, "LIFETIME", datetime.timedelta(days=29))
    certificates.ensure(authority, region.directory / "certs", identities.DATABASE, anew=True)
    listed = {(row["place"], row["name"]): row["state"] for row in running.json("certificate", "list")}
    assert listed[region.name, "postgres"] == "due"
    assert f"renewed: {region.name}/postgres" in running.run("up", "--yes").stderr
    assert {row["state"] for row in running.json("certificate", "list")} == {"ok"}
    serials(running)
