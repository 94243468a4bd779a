"""Blocks of ports for deployments, and whether ports are free."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from cortexctl.deployment import Deployment, read
from cortexctl.errors import Refused

FIRST, END = 20_000, 32_000  # below the range the kernel gives to outgoing connections
_LISTENING = "0A"


def choose_block(home: Path, name: str, size: int) -> int:
    """Return the first port of a block of `size` free ports that no deployment in `home` has.

    The search starts where the name and the user say, so that two users rarely meet. Raises Refused when
    there is none.
    """
    taken = list(_recorded(home))
    blocks = range(FIRST, END - size + 1, size)
    start = int.from_bytes(hashlib.sha256(f"{os.getuid()} {home} {name}".encode()).digest()[:4], "big")
    for step in range(len(blocks)):
        first = blocks[(start + step) % len(blocks)]
        overlaps = any(first <= last and begin < first + size for begin, last in taken)
        if not overlaps and not in_use(range(first, first + size)):
            return first
    raise Refused(
        f"There is no block of {size} free ports from {FIRST} to {END}.",
        why="Other programs, or other deployments, have them.",
        todo="Remove a deployment that is no longer needed: cortexctl --deployment NAME down --delete-data.",
    )


def check_free(ports: Iterable[int]) -> None:
    """Raise Refused when a port is in use, naming it and the process that has it."""
    if used := in_use(ports):
        port = used[0]
        pid = holder(port)
        who = (
            f"Process {pid} ({_command(pid)}) listens on it."
            if pid
            else "A process of another user listens on it."
        )
        raise Refused(
            f"Port {port} is in use.",
            why=who,
            todo="End that process, or use another deployment: --deployment NAME. Nothing was changed.",
        )


def in_use(ports: Iterable[int]) -> list[int]:
    """Return those ports on which somebody listens."""
    used = []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                used.append(port)
    return used


def holder(port: int) -> int | None:
    """Return the pid of the process that listens on a port, None when it can't be seen."""
    wanted = {f"socket:[{inode}]" for inode in _listeners(port)}
    for process in Path("/proc").glob("[0-9]*"):
        if wanted & set(_open_files(process)):
            return int(process.name)
    return None


def bound(first: int, last: int) -> dict[int, set[str]]:
    """Return on which addresses somebody listens, by port, of the ports from one to another."""
    found: dict[int, set[str]] = {}
    for fields in _listening():
        if first <= (port := _port(fields)) <= last:
            found.setdefault(port, set()).add(_address(fields))
    return found


def ports_of(deployment: Deployment) -> tuple[list[int], dict[str, list[int]]]:
    """Return the ports of the edge, and those of each region by name."""
    regions = {
        region.name: [
            region.load_balancer_port, region.supervisor_port, region.etcd_client_port, region.etcd_peer_port,
            region.postgres_port, region.patroni_port, *(node.port for node in region.nodes),
        ]
        for region in deployment.regions
    }  # fmt: skip
    return [deployment.edge_port, deployment.edge_supervisor_port], regions


def _recorded(home: Path) -> Iterator[tuple[int, int]]:
    for path in home.glob("*/deployment.yaml"):
        try:
            found = read(path)
            yield found.first_port, found.last_port
        except (OSError, ValueError):
            continue  # damaged: whether its ports are free is asked of the kernel


def _listeners(port: int) -> Iterator[str]:
    return (fields[9] for fields in _listening() if _port(fields) == port)


def _listening() -> Iterator[list[str]]:
    """Yield the fields of every line of the kernel's tables that is of a listener."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        yield from (fields for fields in map(str.split, lines) if fields[3] == _LISTENING)


def _port(fields: list[str]) -> int:
    return int(fields[1].rpartition(":")[2], 16)


def _address(fields: list[str]) -> str:
    """Return an address of the tables: words of 32 bits, each in the machine's own order."""
    words = fields[1].rpartition(":")[0]
    packed = b"".join(struct.pack("=I", int(words[i : i + 8], 16)) for i in range(0, len(words), 8))
    return str(ipaddress.ip_address(packed))


def _open_files(process: Path) -> Iterator[str]:
    try:
        entries = list((process / "fd").iterdir())
    except OSError:  # another user's, or gone
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            yield str(entry.readlink())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"
