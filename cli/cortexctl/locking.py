"""One lock a deployment: whoever changes it holds it.

It is the kernel's lock on a file beside the deployment's directory, so that a holder that died has let go.
The file says who holds it, and is gone when nobody does.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortexctl.deployment import check_name, state_home
from cortexctl.errors import Locked, Refused


@contextmanager
def lock(name: str, command: str) -> Iterator[None]:
    """Hold a deployment's lock while the block runs. `command` tells others what it is held for.

    Raises Locked when another process holds it, Refused when the state home can't be written.
    """
    path = lock_path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, name)
    except OSError as error:
        raise Refused(
            f"Deployment {name!r} cannot be locked.",
            why=str(error),
            todo=f"See to it that {path.parent} can be written, or choose another XDG_STATE_HOME.",
        ) from error
    try:
        owner = {"pid": os.getpid(), "command": command, "since": time.time()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # before letting go: nobody else can have it open and locked
        os.close(descriptor)


def lock_path(name: str) -> Path:
    """Return the path of a deployment's lock file."""
    return state_home() / f"{check_name(name)}.lock"


def _take(path: Path, name: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            raise _locked(name, content) from None
        if _same(descriptor, path):
            return descriptor
        os.close(descriptor)  # the holder before us removed it between our open and our lock


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _locked(name: str, content: bytes) -> Locked:
    try:
        owner = json.loads(content)
        pid, age = int(owner["pid"]), max(0, round(time.time() - float(owner["since"])))
        why = f"Process {pid} has held it for {age} s, for: cortexctl {owner['command']}."
        todo = f"Wait for it. If it hangs, kill {pid} breaks its lock; then up or down puts the rest right."
    except (ValueError, KeyError, TypeError):
        why = "Another process has just taken it."
        todo = f"Repeat the command; fuser {lock_path(name)} names the process."
    return Locked(f"Deployment {name!r} is locked.", why=why, todo=todo)
