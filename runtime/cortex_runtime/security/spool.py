"""A node's spool: segments of the audit log on its own disk until the database has them.

    file    records, one after another
    record  length of body 4 B | CRC-32 of body 4 B | body (MessagePack of a Segment)

Nothing is synced to the disk: what was written outlives the process, whatever ends it. It does not outlive
the machine; there only what the database has is safe, a fraction of a second later.
"""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from cortex_runtime.formats.audit import Segment

MAX_BYTES = 64 << 20
ROLL_BYTES = 4 << 20
_HEAD = struct.Struct("<II")
_SUFFIX = ".spool"
log = structlog.get_logger()


class Spool:
    """Segments in the order in which they came. May be used from several threads."""

    def __init__(self, directory: Path) -> None:
        """Take over what an earlier process left. Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Segment, _File]] = deque()
        self.size = 0  # bytes of content that wait
        self.torn = 0  # bytes that were cut off: what a killed process had not written to the end
        for path in sorted(directory.glob(f"*{_SUFFIX}")):
            self._read(path)
        self._file = _File.new(directory)

    @property
    def full(self) -> bool:
        """True when no more may be added until the database has taken some."""
        return self.size >= MAX_BYTES

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, segments: list[Segment]) -> None:
        """Keep segments; all or none. Raises OSError."""
        with self._lock:
            if self._file.end > ROLL_BYTES:
                self._file = _File.new(self._directory)
            self._file.append(b"".join(map(_record, segments)), len(segments))
            self._waiting.extend((segment, self._file) for segment in segments)
            self.size += sum(len(segment.content) for segment in segments)

    def first(self, count: int, size: int) -> list[Segment]:
        """Return the oldest segments: one at least if there is any, within a number and of so many bytes."""
        found: list[Segment] = []
        with self._lock:
            for segment, _ in self._waiting:
                size -= len(segment.content)
                if found and (size < 0 or len(found) == count):
                    break
                found.append(segment)
        return found

    def forget(self, count: int) -> None:
        """Forget the oldest segments: the database has them. Raises OSError."""
        with self._lock:
            for _ in range(count):
                segment, file = self._waiting.popleft()
                self.size -= len(segment.content)
                file.waiting -= 1
                if not file.waiting:
                    file.clear() if file is self._file else file.remove()

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        file, segments = _File(path), []
        while (found := _parse(content, file.end)) is not None:
            segment, file.end = found
            segments.append(segment)
        if file.end < len(content):
            self.torn += len(content) - file.end
            log.warning("audit spool cut", path=str(path), at=file.end, bytes=len(content) - file.end)
            file.cut()
        if not segments:
            file.remove()
            return
        file.waiting = len(segments)
        self._waiting.extend((segment, file) for segment in segments)
        self.size += sum(len(segment.content) for segment in segments)


class _File:
    """A file of records; `waiting` of them the database has not."""

    def __init__(self, path: Path, flags: int = 0) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
        self.end = self.waiting = 0

    @classmethod
    def new(cls, directory: Path) -> _File:
        return cls(directory / f"{time.time_ns():020d}{_SUFFIX}", os.O_CREAT | os.O_EXCL)

    def append(self, records: bytes, count: int) -> None:
        at, rest = self.end, memoryview(records)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, at)
                at, rest = at + written, rest[written:]
        except OSError:
            with suppress(OSError):  # else the next record is written over it all the same
                self.cut()
            raise
        self.end = at
        self.waiting += count

    def cut(self) -> None:
        os.ftruncate(self._descriptor, self.end)

    def clear(self) -> None:
        self.end = 0
        self.cut()

    def remove(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


def _record(segment: Segment) -> bytes:
    body = msgspec.msgpack.encode(segment)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _parse(content: bytes, at: int) -> tuple[Segment, int] | None:
    """Return the record at a place and where it ends; None when there is no whole one."""
    if at + _HEAD.size > len(content):
        return None
    length, crc = _HEAD.unpack_from(content, at)
    body = content[at + _HEAD.size : at + _HEAD.size + length]
    if len(body) != length or zlib.crc32(body) != crc:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Segment), at + _HEAD.size + length
    except msgspec.DecodeError:  # a run of zeros has a good checksum
        return None
