"""Files that are either the old or the new one, whenever the process or the machine stops."""

from __future__ import annotations

import fcntl
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortexctl.errors import Locked


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file by rename; an existing one keeps its owner, for those who run under another account."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            _keep_owner(file.fileno(), path)
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the name is a string here
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what is left of a file's writes that were killed. Nobody may be writing it."""
    left = list(path.parent.glob(f".{glob.escape(path.name)}.*"))
    for each in left:
        each.unlink(missing_ok=True)
    if left:
        sync_directory(path.parent)


def update(path: Path, content: bytes) -> None:
    """Replace a file unless that is its content already."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write(path, content)


def sync_directory(path: Path) -> None:
    """Make what was created in, or renamed into, a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, what: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file while the block runs; the kernel frees it when the process dies.

    Waits up to `patience` seconds for it. Raises Locked.
    """
    until = time.monotonic() + patience
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try(descriptor):
            if time.monotonic() >= until:
                raise Locked(
                    f"{what} is in use by another run.", why=f"{path} is locked.",
                    todo="Wait for it to end, then repeat.",
                )  # fmt: skip
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keep_owner(descriptor: int, path: Path) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        old = path.parent.stat()
    if os.geteuid() == 0 and (old.st_uid, old.st_gid) != (0, 0):
        os.fchown(descriptor, old.st_uid, old.st_gid)
