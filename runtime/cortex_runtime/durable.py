"""Files that are either the old or the new one, whenever the process or the machine stops."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = ".part"


@contextmanager
def replacing(path: Path) -> Iterator[int]:
    """Lend an empty file (a descriptor) that takes its name once the block is through and it is on the disk.

    When the block raises, the file is gone and what had the name has it still.
    """
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        yield descriptor
        os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def remove_temporaries(directory: Path, *, age: float = 0.0) -> None:
    """Remove what is left in a directory of files that were being replaced, untouched for `age` seconds."""
    latest = time.time() - age
    for path in directory.glob(f".*{_TEMPORARY}"):
        if path.lstat().st_mtime <= latest:
            path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make what was created in, renamed into or removed from a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
