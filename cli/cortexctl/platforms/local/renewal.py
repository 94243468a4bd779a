"""Certificates of a running deployment: seen, replaced, and taken up by all that use them, without a restart.

Files are replaced first, one by one, each as a whole. Then whoever shows another than its file is told, until
nobody does. Nothing is noted down: a renewal that was killed is finished by the next look at files and
listeners.

etcd reads its files at each handshake, libpq at each connection, and nodes look at theirs every few seconds;
Patroni, and through it PostgreSQL, reads them at SIGHUP, and HAProxy is given them by its socket.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cortexctl.certificates import Certificate
from cortexctl.deployment import Deployment, Region
from cortexctl.platforms.local import certificates, haproxy, identities, listeners, regions
from cortexctl.platforms.local.certificates import Authorities, Identity
from cortexctl.platforms.local.listeners import Shown
from cortexctl.platforms.local.tree import NO_ANSWER

CA_DUE_BEFORE = timedelta(days=365)
TELL_AGAIN = 3.0
SETTLING = 1.5  # a node's old listener and its new one are both there for a moment
POLL = 0.2


def inspect(deployment: Deployment) -> tuple[Certificate, ...]:
    """Return all certificates of a deployment, with what the listeners that answer show."""
    now = datetime.now(UTC)
    with ThreadPoolExecutor(len(deployment.regions)) as pool:
        shown = list(pool.map(lambda region: listeners.shown(deployment, region), deployment.regions))
    found = [_authority(path, subject, now) for path, subject in _authorities(deployment)]
    found.append(_certificate("operator", deployment.operator_directory, identities.OPERATOR, {}, now))
    for region, here in zip(deployment.regions, shown, strict=True):
        for identity in identities.of_region(region):
            directory, uses = region.directory / "certs", here.get(identity.name, {})
            found.append(_certificate(region.name, directory, identity, uses, now))
    return tuple(found)


def due(deployment: Deployment, *, everything: bool) -> tuple[Path, ...]:
    """Return the files that a renewal would replace. Raises Refused when the CA is damaged."""
    authorities = certificates.open_authorities(deployment.directory / "ca", deployment.name)
    return tuple(
        directory / identity.file
        for directory, identity in _files(deployment)
        if everything or not _is_good(authorities, directory, identity)
    )


def replace(deployment: Deployment, *, everything: bool) -> tuple[Path, ...]:
    """Replace the files that are due, or all, and return them. Raises Refused when the CA is damaged."""
    authorities = certificates.open_authorities(deployment.directory / "ca", deployment.name)
    return tuple(
        directory / identity.file
        for directory, identity in _files(deployment)
        if certificates.ensure(authorities.of(identity), directory, identity, anew=everything)
    )


def take_up(deployment: Deployment, *, patience: float) -> tuple[Certificate, ...]:
    """Tell whoever shows another certificate than its file, until nobody does or the time is over.

    Returns those that are shown still.
    """
    until, tell_at = time.monotonic() + patience, 0.0
    told = False
    while True:
        stale = tuple(one for one in inspect(deployment) if one.stale)
        if stale and time.monotonic() >= tell_at:
            _tell(deployment, stale)
            told, tell_at = True, time.monotonic() + TELL_AGAIN
        if not stale and told:
            time.sleep(SETTLING)
            stale = tuple(one for one in inspect(deployment) if one.stale)
        if not stale or time.monotonic() >= until:
            return stale
        time.sleep(POLL)


def _tell(deployment: Deployment, stale: Iterable[Certificate]) -> None:
    names: dict[str, set[str]] = {}
    for one in stale:
        names.setdefault(one.place, set()).add(one.name)
    for place, found in names.items():
        region = deployment.region(place)
        for identity in (identities.FRONT, identities.BALANCER):
            if identity.name in found:
                _give(region, identity)
        if found & {identities.DATABASE.name, identities.PATRONI.name}:
            with suppress(*NO_ANSWER):  # its supervisor may be busy: it is told again
                regions.tree_of(region).supervisor().hang_up("patroni")


def _give(region: Region, identity: Identity) -> None:
    """Give HAProxy a certificate; from the second command on new connections use it."""
    name = f"certs/{identity.file}"
    content = (region.directory / name).read_text()
    with suppress(OSError):  # one that does not run reads it when it starts
        haproxy.tell(region.directory, [f"set ssl cert {name} <<\n{content}"])
        haproxy.tell(region.directory, [f"commit ssl cert {name}"])


def _files(deployment: Deployment) -> Iterator[tuple[Path, Identity]]:
    yield deployment.operator_directory, identities.OPERATOR
    for region in deployment.regions:
        directory = region.directory / "certs"
        if directory.is_dir():  # a region that is gone gets its own when it is made again
            for identity in identities.of_region(region):
                yield directory, identity


def _is_good(authorities: Authorities, directory: Path, identity: Identity) -> bool:
    return certificates.is_good(authorities.of(identity), directory / identity.file, identity)


def _authorities(deployment: Deployment) -> tuple[tuple[Path, str], ...]:
    directory = deployment.directory / "ca"
    return (directory / "ca.crt", "deployment"), (directory / "arbiter" / "ca.crt", "arbiter")


def _authority(path: Path, subject: str, now: datetime) -> Certificate:
    return Certificate("ca", subject, subject, path, CA_DUE_BEFORE, listeners.read(path), {}, now)


def _certificate(place: str, directory: Path, identity: Identity, uses: Shown, now: datetime) -> Certificate:
    path = directory / identity.file
    return Certificate(
        place, identity.name, identity.common_name, path, certificates.RENEW_BEFORE, listeners.read(path),
        uses, now,
    )  # fmt: skip
