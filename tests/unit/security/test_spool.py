"""The spool: what was written outlives the process, what was torn is cut off, what is full says so."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cortex_runtime.changelog.database import Unavailable
from cortex_runtime.formats.audit import Event, Segment, pack, unpack
from cortex_runtime.security import audit, spool
from cortex_runtime.security.audit import AuditLog, event
from cortex_runtime.security.spool import Spool


def made(number: int) -> Event:
    return event(action="query", actor="key:1", resource="main", result="done", request_id=str(number))


def segments(count: int) -> list[Segment]:
    return [segment for number in range(count) for segment in pack("n", [made(number)])]


def waiting(found: Spool) -> list[Segment]:
    return found.first(1 << 30, 1 << 40)


def test_what_was_written_is_there_after_the_process_has_gone(tmp_path: Path) -> None:
    first, kept = Spool(tmp_path), segments(5)
    first.append(kept[:2])
    first.append(kept[2:])
    again = Spool(tmp_path)
    assert waiting(again) == kept
    assert again.torn == 0
    again.append(more := segments(1))
    again.forget(5)
    assert waiting(again) == more
    assert waiting(Spool(tmp_path)) == more


def test_what_the_database_has_takes_no_room(tmp_path: Path) -> None:
    found = Spool(tmp_path)
    found.append(segments(3))
    found.forget(3)
    assert (len(found), found.size) == (0, 0)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_torn_tail_is_cut_at_the_last_whole_record_at_every_byte(tmp_path: Path) -> None:
    whole, kept = tmp_path / "whole", segments(3)
    first = Spool(whole)
    ends = []
    for segment in kept:
        first.append([segment])
        ends.append(sum(path.stat().st_size for path in whole.iterdir()))
    (path,) = whole.iterdir()
    content = path.read_bytes()
    for length in range(len(content)):
        torn = tmp_path / f"torn-{length}"
        torn.mkdir()
        (torn / path.name).write_bytes(content[:length])
        found, complete = Spool(torn), sum(end <= length for end in ends)
        assert waiting(found) == kept[:complete]
        assert found.torn == length - ([0, *ends][complete])
        assert waiting(Spool(torn)) == kept[:complete]


@pytest.mark.parametrize(("back", "damage"), [(64, b"\0" * 64), (64, b"\xff" * 64), (3, b"\x00")])
def test_a_record_that_was_altered_ends_the_file(tmp_path: Path, back: int, damage: bytes) -> None:
    kept = segments(2)
    Spool(tmp_path).append(kept)
    path = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    start = len(content) - back
    content[start : start + len(damage)] = damage
    path.write_bytes(content)
    found = Spool(tmp_path)
    assert waiting(found) == kept[:1]
    assert found.torn > 0


def test_files_are_rolled_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROLL_BYTES", 0)
    found, kept = Spool(tmp_path), segments(4)
    for segment in kept:
        found.append([segment])
    assert len(list(tmp_path.iterdir())) == 4
    assert waiting(Spool(tmp_path)) == kept
    found.forget(3)
    assert sum(path.stat().st_size > 0 for path in tmp_path.iterdir()) == 1


def test_a_disk_without_room_keeps_what_was_there_and_half_of_nothing(tmp_path: Path) -> None:
    found, kept = Spool(tmp_path), segments(40)
    found.append(kept[:1])
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, limits[1]))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError) as refusal:
            found.append(kept[1:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refusal.value.errno == errno.EFBIG
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == size
    found.append(kept[1:])
    assert waiting(Spool(tmp_path)) == kept


class Primary:
    """Stands where a Database stands; `away` as long as it does not answer."""

    def __init__(self) -> None:
        self.away, self.rows = False, list[dict[str, Any]]()

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Primary]:
        if self.away:
            raise Unavailable("away")
        yield self

    async def execute(self, statement: str, parameters: list[Any]) -> None:
        self.rows += parameters[0].obj


def opened(directory: Path, primary: Primary) -> AuditLog:
    return AuditLog("n", primary, Spool(directory), lambda name: name == "acme")  # type: ignore[arg-type]


def test_what_is_added_is_on_the_disk_a_tenth_of_a_second_later(tmp_path: Path) -> None:
    primary = Primary()
    primary.away = True

    async def run() -> None:
        log = opened(tmp_path, primary)
        for number in range(10):
            log.add(made(number))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0
        await asyncio.sleep(audit.PERIOD + 0.1)
        (segment,) = waiting(Spool(tmp_path))
        assert [each.request_id for each in unpack(segment.content)[1]] == list(map(str, range(10)))
        with pytest.raises(Unavailable):
            await log.flush()
        primary.away = False
        await log.flush()
        assert [row["events"] for row in primary.rows] == [10]

    asyncio.run(run())


def test_the_next_start_ships_what_is_left_and_tells_of_what_was_torn(tmp_path: Path) -> None:
    Spool(tmp_path).append(kept := segments(2))
    path = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes() + b"torn")
    primary = Primary()

    async def run() -> None:
        log = opened(tmp_path, primary)
        log.start()
        await log.flush()

    asyncio.run(run())
    assert [row["id"] for row in primary.rows[:2]] == [str(each.id) for each in kept]
    assert len(primary.rows) == 3


def test_full_it_says_so_until_the_database_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_BYTES", 1000)
    primary = Primary()
    primary.away = True

    async def run() -> None:
        log = opened(tmp_path, primary)
        for number in range(10):
            assert not log.full
            log.add(made(number))
            with pytest.raises(Unavailable):
                await log.flush()
            if log.full:
                break
        assert log.full
        primary.away = False
        await log.flush()
        assert not log.full
        assert len(primary.rows) == number + 1

    asyncio.run(run())


def test_a_disk_that_cannot_be_written_stops_everything_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary = Primary()

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run() -> None:
        log = opened(tmp_path, primary)
        log.add(made(1))
        assert log._writer is not None
        log._writer.cancel()  # it may have ended just when the events were taken from it
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", no_room)
            with pytest.raises(Unavailable, match="No space"):
                await log.flush()
            assert log.full
        until = time.monotonic() + 10
        while log.full:  # nobody adds anything, nobody asks
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        log.add(made(2))
        await log.flush()
        assert sum(row["events"] for row in primary.rows) == 2

    asyncio.run(run())


def test_a_batch_that_the_database_refuses_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    primary = Primary()

    async def refuse(*_: object) -> None:
        raise psycopg.OperationalError("no")

    async def run() -> None:
        log = opened(tmp_path, primary)
        log.add(made(1))
        with monkeypatch.context() as patch:
            patch.setattr(primary, "execute", refuse)
            with pytest.raises(psycopg.OperationalError):
                await log.flush()
        await log.flush()
        assert len(primary.rows) == 1

    asyncio.run(run())
