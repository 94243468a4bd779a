"""Processes as /proc shows them: which belong to a tree, and how a tree ends.

A pid is used again, so that a process is its pid together with its start time. What belongs to a region is
known by three signs, because each of them fails for some: ancestry (lost when a parent dies), the variable
CORTEXKG_TREE in the environment (PostgreSQL writes its title over it), and PostgreSQL's working directory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "CORTEXKG_TREE"
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `start` in clock ticks since boot, `state` the letter of proc(5)."""

    pid: int
    start: int
    parent: int
    state: str
    name: str

    @property
    def dead(self) -> bool:
        """True for one that only waits for its parent to take note."""
        return self.state in "ZX"

    def __str__(self) -> str:
        return f"{self.pid} {self.name}"


def parse_stat(text: str) -> Process:
    """Read the content of /proc/PID/stat; the name may hold spaces and parentheses. Raises ValueError."""
    head, found, tail = text.rpartition(")")
    pid, _, name = head.partition("(")
    fields = tail.split()
    if not found or len(fields) < 20:
        raise ValueError(f"not a line of /proc/PID/stat: {text!r}")
    return Process(int(pid), int(fields[19]), int(fields[1]), fields[0], name)


def look(pid: int) -> Process | None:
    """Return a process, None when there is none."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except (OSError, ValueError):
        return None


def every() -> list[Process]:
    """Return all processes that are not dead."""
    found = (look(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - quicker
    return [process for process in found if process and not process.dead]


def alive(process: Process) -> bool:
    """Return whether this very process lives; a zombie doesn't."""
    now = look(process.pid)
    return now is not None and now.start == process.start and not now.dead


def descendants(processes: Iterable[Process], roots: Iterable[int]) -> list[Process]:
    """Return those of the processes that are roots or descend from one."""
    known = list(processes)
    members = set(roots)
    while True:
        more = {process.pid for process in known if process.parent in members} - members
        if not more:
            return [process for process in known if process.pid in members]
        members |= more


def tree(directory: Path) -> list[Process]:
    """Return all that live of the tree of a region, or of the edge, whose directory this is."""
    processes = every()
    place = os.fsencode(directory.resolve())
    roots = [process.pid for process in processes if _belongs(process, place)]
    return descendants(processes, roots)


def kill_tree(directory: Path, *, patience: float = 10.0) -> tuple[list[Process], list[Process]]:
    """End a tree at once: stop all of it until nothing new appears, then SIGKILL.

    Returns what was ended, and what still lives after `patience` seconds.
    """
    found = freeze(lambda: tree(directory))
    return found, kill(found, patience=patience)


def freeze(members: Callable[[], list[Process]]) -> list[Process]:
    """SIGSTOP what `members` lists, again until it lists nothing new."""
    seen: dict[tuple[int, int], Process] = {}
    while True:
        new = [process for process in members() if (process.pid, process.start) not in seen]
        if not new:
            return list(seen.values())
        for process in new:
            seen[process.pid, process.start] = process
            send(process, signal.SIGSTOP)


def kill(processes: Iterable[Process], *, patience: float = 10.0) -> list[Process]:
    """SIGKILL processes and return those that live on after `patience` seconds."""
    left = list(processes)
    for process in left:
        send(process, signal.SIGKILL)
    return await_end(left, patience=patience)


def await_end(processes: Iterable[Process], *, patience: float) -> list[Process]:
    """Wait until processes are dead; return those that live on after `patience` seconds."""
    until = time.monotonic() + patience
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < until:
        time.sleep(POLL)
        left = [process for process in left if alive(process)]
    return left


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to this very process, to nothing when it is gone."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            # The descriptor holds on to whoever has the pid now; its start time says who that is.
            if alive(process):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _belongs(process: Process, place: bytes) -> bool:
    try:
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        if MARK.encode() + b"=" + place in environment.split(b"\0"):
            return True
        if process.name != "postgres":
            return False
        return os.fsencode(Path(f"/proc/{process.pid}/cwd").readlink()) == place + b"/postgres"
    except OSError:
        return False  # gone, or of another user
