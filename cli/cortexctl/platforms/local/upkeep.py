"""The upkeep of a tree's files: each day's logs are put aside, and what is past its age is removed.

Run as a file (python -I -S upkeep.py SUPERVISOR) in the tree's directory, once an hour, so that it loads next
to nothing. SUPERVISOR is the pid of the tree's supervisord, which has the logs open: NAME.log becomes
NAME.DATE.log, by the day it was begun on, and supervisord is told to open NAME.log anew.

How many days what is kept is in retention.json, by directory; what that does not say is kept. Nothing is
followed out of these directories, and what a process has open is not removed: when all its lines are past
their age it is emptied. Whatever is killed is finished by the next run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator

DAY = 86_400
LOGS = "log"
DIRECTORIES = (LOGS, "traces", "metrics")
MARK = ".put-aside"  # its time says when logs were put aside last
UNROTATED = "init.log"  # nobody opens it anew


def main(supervisor: int) -> None:
    """Do what is due."""
    with contextlib.suppress(FileNotFoundError):
        put_aside(supervisor)
    for name, days in ages().items():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            remove(name, time.time() - days * DAY)


def ages() -> dict[str, int]:
    """Return how many days what is kept, by directory. Raises ValueError when that is damaged."""
    try:
        with open("retention.json", "rb") as file:  # noqa: PTH123 - pathlib would be a third of this process
            found = json.load(file)
    except FileNotFoundError:
        return {}
    for name, days in found.items():
        if name not in DIRECTORIES or type(days) is not int or days < 1:
            raise ValueError(f"retention.json: {name!r}: {days!r}")
    return dict(found)


def put_aside(supervisor: int) -> None:
    """Put the logs aside that were begun on another day than today."""
    with directory(LOGS) as place:
        try:
            begun = os.stat(MARK, dir_fd=place, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            touch(place)
            return
        day = time.strftime("%Y%m%d", time.gmtime(begun))
        if day == time.strftime("%Y%m%d", time.gmtime()):
            return
        for name in os.listdir(place):  # noqa: PTH208
            if is_current(name) and (found := regular(name, place)) and found.st_size:
                aside = f"{name.removesuffix('.log')}.{day}.log"
                if not regular(aside, place):
                    os.rename(name, aside, src_dir_fd=place, dst_dir_fd=place)
        # Also when an earlier run was killed before it said so: what is open goes on into what was put aside.
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGUSR2)
        touch(place)


def remove(name: str, before: float) -> None:
    """Remove the files below a directory that were written last before a time."""
    busy: set[tuple[int, int]] | None = None
    with directory(name) as top:
        for _, _, names, place in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for each in names:
                found = regular(each, place)
                if found is None or found.st_mtime >= before or each == MARK:
                    continue
                if busy is None:
                    busy = open_files()
                if (found.st_dev, found.st_ino) not in busy:
                    os.unlink(each, dir_fd=place)
                elif found.st_size:
                    empty(each, place)


def is_current(name: str) -> bool:
    """Tell whether supervisord writes into a file of this name."""
    return name.endswith(".log") and name.count(".") == 1 and name != UNROTATED


def regular(name: str, place: int) -> os.stat_result | None:
    """Return what there is to know of a regular file; None when it is none, or is not there."""
    try:
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def empty(name: str, place: int) -> None:
    """Cut a file to nothing; who writes it appends."""
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def touch(place: int) -> None:
    """Note that logs were put aside now."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(MARK, flags, 0o600, dir_fd=place)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)


def open_files() -> set[tuple[int, int]]:
    """Return device and inode of every file that a process has open, of those that may be looked at."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError):  # gone, or another user's
            for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    one = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116
                    found.add((one.st_dev, one.st_ino))
    return found


@contextlib.contextmanager
def directory(name: str) -> Iterator[int]:
    """Open a directory of the tree, which is no link to another one."""
    place = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield place
    finally:
        os.close(place)


if __name__ == "__main__":
    main(int(sys.argv[1]))
