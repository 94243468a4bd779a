"""What the listeners of a region show: the certificate that each serves with at this moment."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography import x509

from cortexctl import ports
from cortexctl.certificates import Found
from cortexctl.deployment import Deployment, Region
from cortexctl.platforms.base import Listener
from cortexctl.platforms.local import haproxy, identities
from cortexctl.platforms.local.certificates import Identity

TIMEOUT = 2.0
SUPERVISOR = "supervisor"
SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # what a client of PostgreSQL says before it speaks TLS
Shown = dict[str, Found]


@dataclass(frozen=True, slots=True)
class _Listener:
    """One that shows an identity: its name, how to ask it."""

    name: str
    identity: Identity
    port: int | None  # None: it is looked at in another way
    ask: Callable[[], Found]


def shown(deployment: Deployment, region: Region) -> dict[str, Shown]:
    """Return what is shown, by the name of the certificate and then of the listener that answers."""
    every = list(_listeners(deployment, region))
    with ThreadPoolExecutor(len(every)) as pool:
        found = [(one, pool.submit(one.ask)) for one in every]
    result: dict[str, Shown] = {}
    for one, outcome in found:
        with suppress(OSError, ValueError):  # it does not run
            result.setdefault(one.identity.name, {})[one.name] = outcome.result()
    return result


def every(deployment: Deployment) -> tuple[Listener, ...]:
    """Return all that is to listen, and whatever else does on a port of the deployment."""
    bound = ports.bound(deployment.first_port, deployment.last_port)
    edge, own = deployment.edge_port, deployment.operator_certificate
    wanted: list[tuple[str, str, int, Callable[[], Found] | None]] = [
        ("edge", "load balancer", edge, partial(_ask, edge, own, postgres=False)),
        ("edge", SUPERVISOR, deployment.edge_supervisor_port, None),
    ]
    for region in deployment.regions:
        wanted.append((region.name, SUPERVISOR, region.supervisor_port, None))
        mine = _listeners(deployment, region)
        wanted += [(region.name, one.name, one.port, one.ask) for one in mine if one.port is not None]
    known = {port for _, _, port, _ in wanted}
    with ThreadPoolExecutor(8) as pool:
        encrypted = list(pool.map(lambda one: _speaks_tls(one[3]), wanted))
    found = [
        Listener(place, name, port, tuple(sorted(bound.get(port, ()))), encrypted=tls)
        for (place, name, port, _), tls in zip(wanted, encrypted, strict=True)
    ]
    others = sorted((port, names) for port, names in bound.items() if port not in known)
    return (
        *found,
        *(Listener("", "", port, tuple(sorted(names)), encrypted=False) for port, names in others),
    )


def read(path: Path) -> Found | None:
    """Return what a file holds, None when that is no certificate or there is no file."""
    try:
        return _found(x509.load_pem_x509_certificate(path.read_bytes()))
    except (OSError, ValueError):
        return None


def _listeners(deployment: Deployment, region: Region) -> Iterator[_Listener]:
    certificates, operator = region.directory / "certs", deployment.operator_certificate
    ports = [
        ("load balancer", identities.FRONT, region.load_balancer_port, operator),
        ("database", identities.DATABASE, region.postgres_port, operator),
        ("patroni", identities.PATRONI, region.patroni_port, operator),
        # Whoever it does not know it writes into its log.
        ("etcd clients", identities.ETCD, region.etcd_client_port, certificates / identities.ARBITER.file),
        ("etcd peers", identities.ETCD, region.etcd_peer_port, certificates / identities.ETCD.file),
        *((node.name, identities.of_node(node), node.port, operator) for node in region.nodes),
    ]
    for name, identity, port, own in ports:
        ask = partial(_ask, port, own, postgres=identity is identities.DATABASE)
        yield _Listener(name, identity, port, ask)
    yield _Listener("to the nodes", identities.BALANCER, None, partial(_kept, region.directory))


def _speaks_tls(ask: Callable[[], Found] | None) -> bool:
    if ask is None:
        return False
    with suppress(OSError, ValueError):
        ask()
        return True
    return False


def _ask(port: int, own: Path, *, postgres: bool) -> Found:
    """Return what a port shows, whoever issued it: it is looked at, not believed. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):  # what is shown is seen without one, too
        context.load_cert_chain(own)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as raw:
        if postgres:
            raw.sendall(SSL_REQUEST)
            if raw.recv(1) != b"S":
                raise ConnectionRefusedError(f"port {port} speaks no TLS")
        with context.wrap_socket(raw) as wrapped:
            found = _found(x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b""))
            with suppress(OSError):  # an end that was not announced would be in its log
                wrapped.unwrap()
            return found


def _kept(directory: Path) -> Found:
    """Return what HAProxy has in its memory to show to the nodes. Raises OSError or ValueError."""
    answer = haproxy.tell(directory, [f"show ssl cert certs/{identities.BALANCER.file}"])
    serial, ends = (
        re.search(r"^Serial: (\w+)$", answer, re.M),
        re.search(r"^notAfter: (.+) GMT$", answer, re.M),
    )
    if not (serial and ends):
        raise ValueError(answer)
    expires = datetime.strptime(ends[1], "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return Found(f"{int(serial[1], 16):x}", expires)


def _found(certificate: x509.Certificate) -> Found:
    return Found(f"{certificate.serial_number:x}", certificate.not_valid_after_utc)
