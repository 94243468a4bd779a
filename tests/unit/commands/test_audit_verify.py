"""Verification of exports, offline: whatever was done to a log is found, with the first entry that is off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats import merkle
from cortex_runtime.formats.audit import Event, pack
from cortex_runtime.formats.checkpoint import Checkpoint, CheckpointError, Signer, origin_of, read
from cortex_runtime.formats.messages import AuditConsistency, AuditInclusion, AuditSegment
from cortexctl.audit import proving, verifying
from cortexctl.audit.verifying import Verified
from cortexctl.errors import ObjectiveMissed, Refused, UsageError

EVENTS = (3, 1, 2, 5, 1, 4, 2)
NOW = time.time_ns() // 1_000_000


def key_pair() -> tuple[bytes, bytes]:
    private, encoding = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    return (
        private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


PRIVATE, PUBLIC = key_pair()
SIGNER = Signer(PRIVATE, "cortexkg/trial")


def event(number: int, actor: str = "key:1", time: int = NOW) -> Event:
    return Event(
        action="query", actor=actor, request_id=str(number), resource="main", result="done", tenant="acme",
        time=time + number,
    )  # fmt: skip


def leaves(times: int = NOW) -> list[AuditSegment]:
    found: list[AuditSegment] = []
    first = 0
    for leaf, count in enumerate(EVENTS):
        (segment,) = pack("n", [event(first + n, time=times) for n in range(count)])
        found.append(leaf_of(leaf, first, segment.content, str(segment.id), count))
        first += count
    return found


def leaf_of(leaf: int, first: int, content: bytes, id_: str, count: int) -> AuditSegment:
    hashed = merkle.leaf_hash(content).hex()
    return AuditSegment(id=id_, leaf=leaf, first_event=first, events=count, hash=hashed, content=content)


def signed(segments: list[AuditSegment], signer: Signer = SIGNER, tenant: str = "acme") -> str:
    root = merkle.root([bytes.fromhex(segment.hash) for segment in segments])
    return signer.sign(Checkpoint(origin_of("trial", tenant), len(segments), root))


@dataclass
class Export:
    """An export's directory, which can be written anew after something was done to it."""

    directory: Path
    segments: list[AuditSegment]
    checkpoint: str = ""
    anchors: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkpoint = signed(self.segments)
        self.anchors = {size: signed(self.segments[:size]) for size in (2, 5)}

    def write(self) -> Path:
        anchors = self.directory / "anchors" / "eu-west"
        anchors.mkdir(parents=True, exist_ok=True)
        for size, note in self.anchors.items():
            (anchors / str(size)).write_text(note)
        lines = b"".join(msgspec.json.encode(segment) + b"\n" for segment in self.segments)
        (self.directory / "segments.jsonl").write_bytes(lines)
        (self.directory / "checkpoint").write_text(self.checkpoint)
        (self.directory / "checkpoint-signing.pub").write_bytes(PUBLIC)
        return self.directory

    def verify(self, *others: Path, **options: timedelta) -> Verified:
        return verifying.verify(self.write(), PUBLIC, list(others), **options)

    def bad(self, *others: Path) -> str:
        with pytest.raises(ObjectiveMissed) as found:
            self.verify(*others)
        assert found.value.exit_code == 3
        return found.value.why

    def replace(self, at: int, /, **changes: object) -> None:
        self.segments[at] = msgspec.structs.replace(self.segments[at], **changes)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path / "export", leaves())


def test_a_log_that_is_as_it_was_signed_is_told_to_be(export: Export) -> None:
    found = export.verify()
    assert (found.tenant, found.size, found.events, found.expired) == ("acme", 7, sum(EVENTS), 0)
    assert found.checkpoints == 3


def forged(segment: AuditSegment, actor: str) -> bytes:
    """A segment of the same id and times that says something else."""
    import zstandard  # noqa: PLC0415

    plain = zstandard.ZstdDecompressor().decompress(segment.content or b"")
    return zstandard.ZstdCompressor().compress(plain.replace(b"key:1", actor.encode()))


def test_an_entry_that_was_altered_is_named(export: Export) -> None:
    export.replace(3, content=forged(export.segments[3], "key:2"))
    why = export.bad()
    assert f"segment {export.segments[3].id} (leaf 3, events 6 to 10)" in why
    assert "altered" in why


@pytest.mark.parametrize("at", [0, 10, 40, -1])
def test_a_byte_that_was_altered_is_named(export: Export, at: int) -> None:
    content = bytearray(export.segments[1].content or b"")
    content[at] ^= 1
    export.replace(1, content=bytes(content))
    assert "(leaf 1, events 3 to 3)" in export.bad()


def test_an_entry_that_was_altered_with_its_hash_is_between_two_checkpoints(export: Export) -> None:
    content = forged(export.segments[3], "key:2")
    export.replace(3, content=content, hash=merkle.leaf_hash(content).hex())
    assert "leaves 2 to 4" in export.bad()


def test_an_entry_that_was_removed_is_named(export: Export) -> None:
    gone = export.segments.pop(3)
    assert f"segment {export.segments[3].id} (leaf 4" in export.bad()
    assert "where leaf 3 must" in export.bad()
    first = gone.first_event
    for leaf in range(3, len(export.segments)):  # numbered anew
        export.replace(leaf, leaf=leaf, first_event=first)
        first += export.segments[leaf].events
    assert "leaves 2 to 4" in export.bad()


def test_entries_that_were_reordered_are_named(export: Export) -> None:
    export.segments[3:5] = export.segments[4], export.segments[3]
    assert "where leaf 3 must" in export.bad()
    export.replace(3, leaf=3, first_event=6)
    export.replace(4, leaf=4, first_event=6 + export.segments[3].events)
    assert "leaves 2 to 4" in export.bad()


def test_events_within_a_segment_cannot_be_reordered_or_dropped(export: Export) -> None:
    import zstandard  # noqa: PLC0415

    plain = zstandard.ZstdDecompressor().decompress(export.segments[3].content or b"").split(b"\n")
    for lines in ([plain[0], plain[2], plain[1], *plain[3:]], plain[:-1]):
        content = zstandard.ZstdCompressor().compress(b"\n".join(lines))
        export.replace(3, content=content)
        assert "leaf 3" in export.bad()
        export.replace(3, content=content, hash=merkle.leaf_hash(content).hex())
        assert "leaf 3" in export.bad()


def test_a_line_that_is_off_is_named_even_when_all_is_signed(export: Export) -> None:
    import zstandard  # noqa: PLC0415

    plain = zstandard.ZstdDecompressor().decompress(export.segments[3].content or b"").split(b"\n")
    plain[2] = plain[2].replace(b'"result":"done"', b'"result":"done","more":1')
    content = zstandard.ZstdCompressor().compress(b"\n".join(plain))
    export.replace(3, content=content, hash=merkle.leaf_hash(content).hex())
    export.checkpoint, export.anchors = signed(export.segments), {}
    assert "(leaf 3, events 6 to 10), line 3" in export.bad()


def test_a_segment_of_another_log_or_twice_is_named(export: Export) -> None:
    mine = list(export.segments)
    (other,) = pack("n", [msgspec.structs.replace(event(0), tenant="other")])
    export.replace(1, content=other.content, hash=merkle.leaf_hash(other.content).hex(), id=str(other.id))
    assert "of other" in export.bad()
    export.segments = mine
    export.replace(4, content=export.segments[1].content, hash=export.segments[1].hash)
    assert f"it is segment {export.segments[1].id}" in export.bad()


def test_a_tail_that_was_cut_is_found_by_the_checkpoint_and_by_the_anchors(export: Export) -> None:
    del export.segments[6:]
    assert "leaf 6 and those behind it are missing" in export.bad()
    del export.segments[4:]
    export.checkpoint = signed(export.segments)  # whoever cuts it may have the key
    assert "anchors/eu-west/5 is of 5 segments" in export.bad()


def test_a_tail_that_was_cut_between_anchors_is_found_by_a_checkpoint_that_was_kept(
    export: Export, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(export.checkpoint)
    del export.segments[6:]
    export.checkpoint = signed(export.segments)
    assert export.verify().size == 6
    assert "leaf 6 and those behind it are missing" in export.bad(kept)


def test_a_log_that_was_rewritten_as_a_whole_is_found_by_an_anchor(export: Export) -> None:
    export.segments = leaves()
    export.checkpoint = signed(export.segments)
    assert "leaves 0 to 1" in export.bad()


def test_more_than_was_signed_is_named(export: Export) -> None:
    export.checkpoint, export.anchors = signed(export.segments[:6]), {}
    assert f"segment {export.segments[6].id} (leaf 6" in export.bad()


def test_who_signs_must_have_the_key(export: Export) -> None:
    stranger = Signer(key_pair()[0], "cortexkg/trial")
    good = export.checkpoint
    for note in (
        signed(export.segments, stranger), good.replace("\n7\n", "\n6\n"), good.replace("acme", "other"),
        good + "x", good.partition("\u2014")[0], "", good.replace("\n", "\r\n"),
        signed(export.segments, Signer(PRIVATE, "another name")).replace("another name", "cortexkg/trial"),
    ):  # fmt: skip
        export.checkpoint = note
        assert "checkpoint" in export.bad()
    export.checkpoint, export.anchors[2] = good, signed(export.segments[:2], stranger)
    assert "anchors/eu-west/2" in export.bad()
    export.anchors[2] = signed(export.segments[:2], tenant="other")
    assert "of cortexkg/trial/other" in export.bad()


def test_several_may_sign(export: Export) -> None:
    stranger = signed(export.segments, Signer(key_pair()[0], "witness"))
    both = export.checkpoint + stranger.rpartition("\n\n")[2]
    assert read(both, PUBLIC).size == 7
    with pytest.raises(CheckpointError):
        read(both, key_pair()[1])


def test_what_has_passed_its_retention_is_told_and_what_is_missing_before_is_named(tmp_path: Path) -> None:
    old = Export(tmp_path / "old", leaves(times=NOW - 8 * 365 * 86_400_000))
    for leaf in (0, 1, 2):
        old.replace(leaf, content=None)
    found = old.verify()
    assert (found.expired, found.events) == (3, sum(EVENTS))
    assert found.since and found.since.startswith("20")
    old.replace(5, content=None)
    assert old.verify().expired == 4
    young = Export(tmp_path / "young", leaves())
    young.replace(3, content=None)
    assert "(leaf 3, events 6 to 10): its content is missing" in young.bad()
    young.segments[0:3] = [msgspec.structs.replace(each, content=None) for each in young.segments[0:3]]
    assert young.verify().expired == 4


def test_files_that_are_missing_or_no_files_of_an_export(export: Export) -> None:
    with pytest.raises(Refused):
        verifying.verify(export.directory, PUBLIC)
    directory = export.write()
    (directory / "segments.jsonl").write_text('{"leaf": 0}\n')
    with pytest.raises(ObjectiveMissed, match="not what was signed"):
        verifying.verify(directory, PUBLIC)


def proof_of(export: Export, event_id: str, leaf: int) -> AuditInclusion:
    hashes = [bytes.fromhex(segment.hash) for segment in export.segments]
    found = [merkle.root(hashes[a:b]).hex() for a, b in merkle.inclusion_ranges(leaf, len(hashes))]
    return AuditInclusion(
        event=event_id, segment=export.segments[leaf], hashes=found, checkpoint=export.checkpoint
    )


def test_a_proof_of_an_event_is_checked_with_the_event(export: Export, tmp_path: Path) -> None:
    file, segment = tmp_path / "proof.json", export.segments[3]
    proof = proof_of(export, f"{segment.id}.2", 3)
    file.write_bytes(msgspec.json.encode(proof))
    found = proving.check(file, PUBLIC, [])
    assert found.event is not None and found.event.request_id == "8"
    replace: Callable[..., AuditInclusion] = msgspec.structs.replace
    for wrong in (
        replace(proof, event=f"{segment.id}.5"), replace(proof, event=f"{export.segments[2].id}.0"),
        replace(proof, hashes=proof.hashes[:-1]), replace(proof, segment=replace(segment, leaf=4)),
        replace(proof, checkpoint=signed(leaves())), replace(proof, hashes=["zz", *proof.hashes[1:]]),
        replace(proof, segment=replace(segment, content=forged(segment, "key:2"))),
    ):  # fmt: skip
        file.write_bytes(msgspec.json.encode(wrong))
        with pytest.raises(ObjectiveMissed):
            proving.check(file, PUBLIC, [])
    file.write_text("{}")
    with pytest.raises(ObjectiveMissed, match="is no proof"):
        proving.check(file, PUBLIC, [])


def test_a_proof_of_growth_is_checked_with_the_earlier_checkpoint(export: Export, tmp_path: Path) -> None:
    hashes = [bytes.fromhex(segment.hash) for segment in export.segments]
    found = [merkle.root(hashes[a:b]).hex() for a, b in merkle.consistency_ranges(3, 7)]
    file, earlier, other = tmp_path / "proof.json", tmp_path / "earlier", tmp_path / "other"
    file.write_bytes(
        msgspec.json.encode(AuditConsistency(first=3, hashes=found, checkpoint=export.checkpoint))
    )
    earlier.write_text(signed(export.segments[:3]))
    other.write_text(signed(leaves()[:3]))
    assert "its first 3 segments" in proving.check(file, PUBLIC, [earlier]).proves
    with pytest.raises(ObjectiveMissed):
        proving.check(file, PUBLIC, [other])
    with pytest.raises(UsageError):
        proving.check(file, PUBLIC, [])


def test_the_command_line_needs_no_deployment_and_exits_3(export: Export) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-P", "-m", "cortexctl.main", "audit", "verify", str(export.write())]
        return subprocess.run([*words, "-o", "json"], capture_output=True, text=True, check=False)

    good = run()
    assert (good.returncode, msgspec.json.decode(good.stdout)["events"]) == (0, sum(EVENTS)), good.stderr
    export.replace(3, content=forged(export.segments[3], "key:2"))
    bad = run()
    assert (bad.returncode, bad.stdout) == (3, "")
    assert "leaf 3" in bad.stderr and "Traceback" not in bad.stderr
