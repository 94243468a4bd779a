"""Verification of an exported audit log: every leaf, every event, every signed root; offline.

What is not as it must be is told with the first entry that is off. A log that is in order by itself, but not
the one that was signed before, is found by the checkpoints: those of the regions, and those that you kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from cortex_runtime.formats import checkpoint as checkpoints
from cortex_runtime.formats.audit import Event, SegmentError, unpack
from cortex_runtime.formats.checkpoint import Checkpoint, CheckpointError
from cortex_runtime.formats.merkle import EMPTY, Frontier, leaf_hash
from cortex_runtime.formats.messages import AuditSegment
from cortexctl.audit import archive
from cortexctl.errors import ObjectiveMissed, Refused

RETENTION = timedelta(days=7 * 365)
_SEGMENT = msgspec.json.Decoder(AuditSegment)


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is what was signed. `expired` segments have no content any more; it begins at `since`."""

    tenant: str
    size: int
    events: int
    expired: int
    checkpoints: int
    root: str
    since: str | None


@dataclass(slots=True)
class _Log:
    """A log while it is gone through."""

    tenant: str
    frontier: Frontier = field(default_factory=Frontier)
    events: int = 0
    expired: int = 0
    first_time: int | None = None
    last_time: int = 0
    agreed: int = 0  # so many leaves are those of a checkpoint


def verify(
    directory: Path, public_key: bytes, others: list[Path] | None = None, *, retention: timedelta = RETENTION
) -> Verified:
    """Verify an export, also against checkpoints from elsewhere (`others`).

    Raises ObjectiveMissed, which names the first entry that is off, or Refused when files are missing.
    """
    head = read_checkpoint(directory / archive.CHECKPOINT, public_key)
    points: dict[int, list[tuple[str, Checkpoint]]] = {head.size: [("the checkpoint", head)]}
    for path in [*sorted((directory / archive.ANCHORS).glob("*/*")), *(others or [])]:
        found = read_checkpoint(path, public_key)
        if found.origin != head.origin:
            raise _bad(f"{path} is a checkpoint of {found.origin}, not of {head.origin}")
        points.setdefault(found.size, []).append((str(path), found))
    log = _Log(head.origin.rpartition("/")[2])
    oldest = (datetime.now(UTC) - retention).timestamp() * 1000
    _compare(log, points.get(0, []))
    for number, segment in enumerate(_segments(directory / archive.SEGMENTS)):
        if number == head.size:
            raise _bad(
                f"{_name(segment)} stands behind the end that the checkpoint has ({head.size} segments)"
            )
        _take(log, number, segment, oldest)
        _compare(log, points.get(log.frontier.size, []))
    for size in sorted(points):
        if size > log.frontier.size:
            raise _bad(
                f"leaf {log.frontier.size} and those behind it are missing: {points[size][0][0]} is of"
                f" {size} segments, and there are {log.frontier.size}"
            )
    return Verified(
        tenant=log.tenant, size=log.frontier.size, events=log.events, expired=log.expired,
        checkpoints=sum(map(len, points.values())), root=log.frontier.root.hex(),
        since=None if log.first_time is None else iso(log.first_time),
    )  # fmt: skip


def read_checkpoint(path: Path, public_key: bytes) -> Checkpoint:
    """Return what a file's checkpoint says. Raises ObjectiveMissed unless the key signed it; Refused."""
    try:
        return checkpoints.read(path.read_bytes().decode(), public_key)
    except OSError as error:
        raise Refused(f"{path} cannot be read.", why=str(error), todo="Name an export's files.") from error
    except (CheckpointError, UnicodeDecodeError) as error:
        raise _bad(f"{path}: {error}") from error


def opened(segment: AuditSegment, tenant: str) -> list[Event]:
    """Return the events of a segment that has its content. Raises ObjectiveMissed."""
    name, content = _name(segment), segment.content or b""
    if leaf_hash(content).hex() != segment.hash:
        raise _bad(f"{name}: its content was altered (its hash is not that of the leaf)")
    try:
        header, events = unpack(content)
    except SegmentError as error:
        raise _bad(f"{name}{f', line {error.line}' if error.line else ''}: {error}") from error
    if (header.segment, header.tenant or archive.NO_TENANT) != (segment.id, tenant):
        raise _bad(f"{name}, line 1: it is segment {header.segment} of {header.tenant or archive.NO_TENANT}")
    if len(events) != segment.events:
        raise _bad(f"{name}: it has {len(events)} events and not {segment.events}")
    return events


def iso(milliseconds: int) -> str:
    """Return a time of an event as text."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _take(log: _Log, number: int, segment: AuditSegment, oldest: float) -> None:
    if segment.leaf != number:
        raise _bad(f"{_name(segment)} stands where leaf {number} must: one was removed, added or moved")
    if segment.first_event != log.events:
        raise _bad(f"{_name(segment)}: its first event is {segment.first_event} and must be {log.events}")
    if segment.content is None:
        if log.last_time > oldest:
            raise _bad(f"{_name(segment)}: its content is missing, and it has not passed its retention")
        log.expired += 1
    else:
        events = opened(segment, log.tenant)
        log.first_time = events[0].time if log.first_time is None else log.first_time
        log.last_time = max(log.last_time, events[-1].time)
    log.events += segment.events
    log.frontier.add(bytes.fromhex(segment.hash))


def _compare(log: _Log, points: list[tuple[str, Checkpoint]]) -> None:
    """Raise ObjectiveMissed unless the log is so far the one that checkpoints of this size have."""
    for name, point in points:
        if point.root != (log.frontier.root if log.frontier.size else EMPTY):
            raise _bad(
                f"one of the leaves {log.agreed} to {log.frontier.size - 1} is not the one that was signed:"
                f" the root of the first {log.frontier.size} segments is not that of {name}"
            )
        log.agreed = log.frontier.size


def _segments(path: Path) -> Iterator[AuditSegment]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    segment = _SEGMENT.decode(line)
                    bytes.fromhex(segment.hash)
                except ValueError as error:
                    raise _bad(f"{path}, line {number}: {error}") from error
                yield segment
    except OSError as error:
        raise Refused(
            f"{path} cannot be read.", why=str(error), todo="Name the directory of an export."
        ) from error


def _name(segment: AuditSegment) -> str:
    last = segment.first_event + segment.events - 1
    return f"segment {segment.id} (leaf {segment.leaf}, events {segment.first_event} to {last})"


def _bad(why: str) -> ObjectiveMissed:
    return ObjectiveMissed(
        "The audit log is not what was signed.", why=why,
        todo="Keep this copy, and compare it with another region's or an older export.",
    )  # fmt: skip
