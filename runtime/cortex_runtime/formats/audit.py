"""Segments of the audit log: the events of one commit, or of a moment's reads of one tenant on one node.

A segment is a line of JSON that says what it is, then a line for each event, all with sorted keys, compressed
by zstd (RFC 8878). What is hashed into the tenant's tree is these compressed bytes, as they are stored. An
event is named by its segment and its place there; its number in the tenant's log comes from the segment's
place in the tree.
"""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
import zstandard
from msgspec import Struct

from cortex_runtime.formats import decoding

T = TypeVar("T")
MAX_FIELD = 256
MAX_EVENTS = 4096
MAX_PLAIN = 1 << 26  # bytes: what a segment may say it decompresses to
LEVEL = 3
NO_TENANT = "-"  # names the log of what is of no tenant, where a name is needed


class SegmentError(ValueError):
    """The bytes are no segment; `line` counts from 1, 0 when it is about the whole."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line: who did what, when (ms since 1970), from where, with which result. In the keys' order."""

    action: str
    actor: str
    ip: str = ""
    reason: str | None = None
    request_id: str
    resource: str
    result: str
    session: str | None = None
    tenant: str = ""
    time: int
    user_agent: str = ""


class Header(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The first line of a segment."""

    events: int
    node: str
    segment: str
    tenant: str = ""


class Segment(Struct, frozen=True, kw_only=True):
    """A segment with what is known of it without opening it; times in ms since 1970."""

    id: uuid.UUID
    tenant: str
    node: str
    first: int
    last: int
    events: int
    content: bytes

    def row(self) -> dict[str, str | int]:
        """Return it as the database's functions take it."""
        return {
            "id": str(self.id), "tenant": self.tenant, "node": self.node, "first": self.first,
            "last": self.last, "events": self.events, "content": base64.b64encode(self.content).decode(),
        }  # fmt: skip


def clean(value: str) -> str:
    r"""Return at most 256 characters of a text, none of which a terminal or a parser of lines obeys.

    What is not printable (control characters, separators of lines, marks of direction, surrogates) and the
    backslash are written as in Python's literals, as \n and \x1b: so nothing can look like an escape that is
    none.
    """
    value = value[:MAX_FIELD]
    if value.isprintable() and "\\" not in value:
        return value
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in value
    )[:MAX_FIELD]


def pack(node: str, events: Iterable[Event]) -> list[Segment]:
    """Return the events as segments: one for each tenant, more when a tenant has very many."""
    by_tenant: dict[str, list[Event]] = {}
    for event in events:
        by_tenant.setdefault(event.tenant, []).append(event)
    return [
        _segment(node, tenant, found[start : start + MAX_EVENTS])
        for tenant, found in by_tenant.items()
        for start in range(0, len(found), MAX_EVENTS)
    ]


def unpack(content: bytes) -> tuple[Header, list[Event]]:
    """Return what a segment holds. Raises SegmentError with the first line that is off."""
    lines = _plain(content).split(b"\n")
    header = _decoded(lines[0], _HEADER, 1)
    events = [_decoded(line, _EVENT, number) for number, line in enumerate(lines[1:], 2)]
    if len(events) != header.events:
        raise SegmentError(f"it has {len(events)} events and says that it has {header.events}")
    last = 0
    for number, event in enumerate(events, 2):
        if event.tenant != header.tenant:
            raise SegmentError("the event is of another tenant", number)
        if event.time < last:
            raise SegmentError("the event is earlier than the one before it", number)
        last = event.time
    return header, events


def _segment(node: str, tenant: str, events: Sequence[Event]) -> Segment:
    events = sorted(events, key=lambda event: event.time)
    identity = uuid.uuid4()
    header = Header(events=len(events), node=node, segment=str(identity), tenant=tenant)
    plain = b"\n".join(map(_ENCODER.encode, (header, *events)))
    return Segment(
        id=identity, tenant=tenant, node=node, first=events[0].time, last=events[-1].time,
        events=len(events), content=_compressor().compress(plain),
    )  # fmt: skip


def _plain(content: bytes) -> bytes:
    try:
        if not 0 <= zstandard.frame_content_size(content) <= MAX_PLAIN:
            raise SegmentError("its size is not what a segment's can be")
        return zstandard.ZstdDecompressor().decompress(content, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise SegmentError(f"it does not decompress: {error}") from None


def _decoded(line: bytes, decoder: msgspec.json.Decoder[T], number: int) -> T:
    try:
        found = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SegmentError(f"the line is not an event: {error}", number) from None
    if _ENCODER.encode(found) != line:
        raise SegmentError("the line is not in its one form", number)
    return found


class _Compressors(threading.local):
    """A compressor a thread: one is no thing to share."""

    def __init__(self) -> None:
        self.own = zstandard.ZstdCompressor(level=LEVEL)


_COMPRESSORS = _Compressors()
_ENCODER = msgspec.json.Encoder()
_HEADER, _EVENT = msgspec.json.Decoder(Header), msgspec.json.Decoder(Event)
decoding.learn(globals())


def _compressor() -> zstandard.ZstdCompressor:
    return _COMPRESSORS.own
