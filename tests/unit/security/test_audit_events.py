"""Audit events and segments: nothing forges a line, nothing names a person, what was altered is seen."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_runtime.formats.audit import MAX_EVENTS, MAX_FIELD, Event, SegmentError, clean, pack, unpack
from cortex_runtime.security.audit import Pseudonyms, event
from cortex_runtime.security.directory import Directory, Quota, TenantEntry
from cortex_runtime.security.keyring import KeyringFile

HOSTILE = 'a\r\n{"actor":"forged"}\x1b[31m\x00\u2028\u202e\x85\ud800\\n"'
TEXTS = (
    "action",
    "actor",
    "resource",
    "result",
    "request_id",
    "tenant",
    "session",
    "ip",
    "user_agent",
    "reason",
)


def made(time: int = 1_790_000_000_000, **fields: Any) -> Event:
    """An event as nodes make them."""
    defaults = {"action": "query", "actor": "key:1", "resource": "main", "result": "done", "request_id": "r"}
    found = event(**{**defaults, **fields})
    return Event(**{name: getattr(found, name) for name in Event.__struct_fields__} | {"time": time})


def plain_of(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(content)


@pytest.mark.parametrize("field", TEXTS)
def test_nothing_in_any_field_can_forge_a_line(field: str) -> None:
    hostile = made(1_790_000_000_000, **{field: HOSTILE})
    (segment,) = pack("eu-west-1", [hostile, msgspec.structs.replace(hostile, time=1_800_000_000_000)])
    lines = plain_of(segment.content).split(b"\n")
    assert len(lines) == segment.events + 1
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert all(char.isprintable() for line in lines for char in line.decode())
    assert json.loads(lines[1])[field].startswith(
        r'a\r\n{"actor":"forged"}\x1b[31m\x00\u2028\u202e\x85\ud800\\n"'
    )
    assert unpack(segment.content)[1][0] == hostile


@pytest.mark.parametrize("field", TEXTS)
def test_a_field_of_a_megabyte_is_cut(field: str) -> None:
    for filler in ("x", "\n", "\U0001f600", "\\"):
        assert len(getattr(made(1, **{field: filler * (1 << 20)}), field)) <= MAX_FIELD


@given(st.text(max_size=300))
@example("\\x1b")
def test_what_is_escaped_looks_like_nothing_else(text: str) -> None:
    found = clean(text)
    assert found.isprintable() and len(found) <= MAX_FIELD
    if len(found) < MAX_FIELD and text.isascii():
        assert found.encode().decode("unicode_escape") == text


def test_a_line_has_its_keys_in_order_and_no_more_than_it_needs() -> None:
    (segment,) = pack("eu-west-1", [made(tenant="acme", session="s", ip="::1", user_agent="a", reason="why")])
    for line in plain_of(segment.content).split(b"\n"):
        assert list(json.loads(line)) == sorted(json.loads(line))
    header, _ = unpack(segment.content)
    assert (header.segment, header.tenant, header.node) == (str(segment.id), "acme", "eu-west-1")


def test_events_are_in_segments_of_their_tenants_by_time() -> None:
    events = [made(5, tenant="acme"), made(7, tenant="other"), made(3, tenant="acme")]
    found = {segment.tenant: segment for segment in pack("n", events)}
    assert set(found) == {"acme", "other"}
    assert (found["acme"].first, found["acme"].last, found["acme"].events) == (3, 5, 2)
    assert [each.time for each in unpack(found["acme"].content)[1]] == [3, 5]
    assert [each.events for each in pack("n", [made()] * (MAX_EVENTS + 1))] == [MAX_EVENTS, 1]


def packed(lines: list[bytes]) -> bytes:
    return zstandard.ZstdCompressor().compress(b"\n".join(lines))


def test_what_is_no_segment_is_told_with_its_line() -> None:
    (segment,) = pack("n", [made(1, actor="key:a"), made(2, actor="key:b"), made(3, actor="key:c")])
    lines = plain_of(segment.content).split(b"\n")
    assert unpack(packed(lines))
    wrong = {
        4: [*lines[:3], b"{}"],
        3: [lines[0], lines[1], lines[2].replace(b'"action"', b' "action"'), lines[3]],
        2: [lines[0], lines[1].replace(b'"time":1', b'"tenant":"x","time":1'), *lines[2:]],
        0: lines[:3],
        1: [b"", *lines[1:]],
    }  # fmt: skip
    for line, content in wrong.items():
        with pytest.raises(SegmentError) as found:
            unpack(packed(content))
        assert found.value.line == line, found.value
    with pytest.raises(SegmentError, match="earlier"):
        unpack(packed([lines[0], lines[2], lines[1], lines[3]]))
    for damaged in (b"", b"x", segment.content[:-1], segment.content + b"x", b"\x28\xb5\x2f\xfd" + bytes(40)):
        with pytest.raises(SegmentError):
            unpack(damaged)


def test_a_bomb_is_not_opened() -> None:
    with pytest.raises(SegmentError, match="size"):
        unpack(zstandard.ZstdCompressor().compress(bytes((1 << 26) + 1)))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    found = Directory(KeyringFile(tmp_path / "none"))
    found.tenants["acme"] = TenantEntry("acme", "free", "active", 1, 1, b"", Quota(1, 1, 1, 1), None, {}, {})
    monkeypatch.setattr(Directory, "index_key", lambda self, tenant: found.tenants[tenant].name.encode() * 8)
    monkeypatch.setattr(Directory, "tenants", {"acme": found.tenants["acme"]})
    return found


def test_a_person_is_named_by_a_keyed_hash_of_the_tenants_key(directory: Directory) -> None:
    directory.index_key = lambda tenant: b"1" * 32 if tenant == "acme" else b"2" * 32  # type: ignore[method-assign]
    names = Pseudonyms(directory, b"key")
    assert names.of("key:1234", "acme") == "key:1234"
    assert names.of("anonymous", "acme") == "anonymous"
    ada = names.of("operator:ada", "acme")
    assert ada.startswith("operator:") and "ada" not in ada and len(ada) == len("operator:") + 16
    assert len({ada, names.of("operator:ada", "other"), names.of("operator:bob", "acme")}) == 3
    assert ada in names.all_of("operator:ada", "acme")
    assert Pseudonyms(directory, b"another").of("operator:ada", "acme") == ada


def test_segments_have_ids_of_their_own() -> None:
    found = {segment.id for _ in range(3) for segment in pack("n", [made()])}
    assert len(found) == 3 and all(isinstance(each, uuid.UUID) for each in found)
