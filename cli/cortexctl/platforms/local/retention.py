"""How long the files of each tree are kept: told to its upkeep by a file, and seen by what is there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg.conninfo

from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.base import KeptFiles
from cortexctl.platforms.local import identities

FILE = "retention.json"  # days by directory: what upkeep.py reads
DIRECTORIES = {"logs": "log", "traces": "traces", "metrics": "metrics"}


def kept_files(deployment: Deployment) -> tuple[KeptFiles, ...]:
    """Return how long what is kept in each tree, and the oldest file that is there."""
    return tuple(
        KeptFiles(place, what, known.get(name), _oldest(directory / name))
        for place, directory in _trees(deployment)
        for known in (_read(directory / FILE),)
        for what, name in DIRECTORIES.items()
    )


def keep_files(deployment: Deployment, days: Mapping[str, int]) -> None:
    """Tell every tree how many days what is kept."""
    content = json.dumps({DIRECTORIES[what]: number for what, number in days.items()}, indent=1).encode()
    for _, directory in _trees(deployment):
        if (directory / FILE).exists() and (directory / FILE).read_bytes() == content:
            continue
        durable.write(directory / FILE, content)


def owner(deployment: Deployment) -> str:
    """Return how to reach the primary as the owner of the schema. Raises Refused."""
    role = "postgres"
    for region in deployment.regions:
        certificates, secrets = region.directory / "certs", region.directory / "secrets"
        own = certificates / identities.role(role).file
        if own.exists():
            return psycopg.conninfo.make_conninfo(
                host=",".join("127.0.0.1" for _ in deployment.regions),
                port=",".join(str(other.postgres_port) for other in deployment.regions),
                dbname="cortexkg", user=role, passfile=str(secrets / f"{role}.pgpass"), sslmode="verify-full",
                sslrootcert=str(certificates / "ca.crt"), sslcert=str(own), sslkey=str(own),
                target_session_attrs="read-write", application_name="cortexctl",
            )  # fmt: skip
    raise Refused(
        f"The database of deployment {deployment.name!r} cannot be asked.",
        why=f"No region has a certificate of the role {role}.",
        todo="Run cortexctl up.",
    )


def _trees(deployment: Deployment) -> Iterator[tuple[str, Path]]:
    """Yield the trees that there are, by name."""
    every = [("edge", deployment.directory / "edge")]
    every += [(region.name, region.directory) for region in deployment.regions]
    yield from ((place, directory) for place, directory in every if directory.is_dir())


def _read(path: Path) -> dict[str, int]:
    """Return the days by directory; nothing when the file is missing or damaged: it gets written anew."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _oldest(directory: Path) -> datetime | None:
    """Return when the oldest file below a directory, that has any content, was written last."""
    times = [
        found.st_mtime
        for parent, _, names in os.walk(directory)
        for name in names
        for found in _look(Path(parent) / name)
        if stat.S_ISREG(found.st_mode) and found.st_size
    ]
    return datetime.fromtimestamp(min(times), UTC) if times else None


def _look(path: Path) -> Iterator[os.stat_result]:
    try:
        yield path.lstat()
    except FileNotFoundError:  # it was removed just now
        return
