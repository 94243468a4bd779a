"""The first process of a tree: starts supervisord, adopts and reaps, and leaves nothing behind.

Run as a file (python -I -S init.py COMMAND...) in the tree's directory, so that it loads next to nothing.
PostgreSQL's postmaster leaves its parent, and a backend whose postmaster was killed may hang on for ever,
so that nobody could start the database again: as a subreaper, init gets them all as children.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PERIOD = 1.0
GENTLE = 60.0
WAKING = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


def main(command: list[str]) -> int:
    """Run a tree until its supervisor ends or SIGTERM comes; then end all of it."""
    # Blocked, not handled: they wait until sigtimedwait takes them, and none gets lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    # What nodes and databases have in memory opens everything: none of it is written when one crashes.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_pid_file("init.pid")
    supervisor = start(command)
    suspects: set[int] = set()
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        received = signal.sigtimedwait(WAKING, PERIOD)
        if received and received.si_signo != signal.SIGCHLD and deadline is None:
            deadline = time.monotonic() + GENTLE
            os.kill(supervisor, signal.SIGTERM)
        if supervisor in reap():
            break
        suspects = end_orphans(suspects)
    end_all()
    os.unlink("init.pid")  # noqa: PTH108 - pathlib would be a third of this process
    return 0


def start(command: list[str]) -> int:
    """Start the supervisor with an ordinary signal mask and return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted  # nosec B606
        finally:
            os._exit(127)
    return pid


def reap() -> set[int]:
    """Take note of all children that are dead and return their pids."""
    found = set()
    try:
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            found.add(pid)
    except ChildProcessError:
        pass
    return found


def end_orphans(suspects: set[int]) -> set[int]:
    """SIGKILL backends that have lost their postmaster and did not end by themselves since the last look."""
    orphans = {pid for pid in children() if title(pid).startswith(b"postgres: ")}
    for pid in orphans & suspects:
        os.kill(pid, signal.SIGKILL)  # a child that was not reaped: the pid is still its own
    return orphans


def end_all() -> None:
    """SIGKILL children until there are none: those of a child that dies become ours."""
    while True:
        reap()
        living = children()
        if not living:
            return
        for pid in living:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def children() -> list[int]:
    """Return the pids of our children, dead ones included."""
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208
        return [pid for pid in pids if stat(pid)[1:2] == [str(me)]]


def title(pid: int) -> bytes:
    """Return the command line of a process, empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return file.read(64)
    except OSError:
        return b""


def stat(pid: int | str) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name: state, parent, ...; none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def write_pid_file(path: str) -> None:
    """Write pid and start time: a pid alone may be another process by now."""
    with open(path + ".new", "w") as file:  # noqa: PTH123
        file.write(f"{os.getpid()} {stat('self')[19]}\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)  # noqa: PTH104


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
