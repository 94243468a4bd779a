"""Snapshots on a disk and in an object store: whole, sealed, of the right cortex, or not used at all."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cortex_runtime.changelog import snapshotfile
from cortex_runtime.changelog.snapshotfile import Origin, SnapshotDamagedError, WritingStopped
from cortex_runtime.changelog.snapshots import Name, Snapshots
from cortex_runtime.columns import Cortex, CortexSettings
from cortex_runtime.columns.snapshot import Image
from cortex_runtime.formats.keyring import new_keyring, parse
from cortex_runtime.objectstore import DirectoryStore, ObjectStoreError
from cortex_runtime.security.directory import Directory, Quota, TenantEntry, UnknownKey, WrappedKey
from cortex_runtime.security.envelope import OVERHEAD
from cortex_runtime.security.keyring import KeyringFile
from unit.columns.worlds import filled

SETTINGS = CortexSettings()
CHUNK = 1 << 16  # so that a small cortex has many
CORTEX = filled(200)
FIRST, SECOND, THIRD = (Origin("acme", "main", 3, seq, b"d" * 32, CORTEX.operations, 1) for seq in (7, 9, 11))


def tenant_entry(directory: Directory, name: str, versions: int = 1) -> TenantEntry:
    keys = {}
    for version in range(1, versions + 1):
        kek, wrapped, check = directory.make_data_key(name, version)
        state = "ACTIVE" if version == versions else "DECRYPT_ONLY"
        keys[version] = WrappedKey(version, state, kek, wrapped, check)
    kek, index_key = directory.make_index_key(name)
    return TenantEntry(name, "free", "active", 1, kek, index_key, Quota(1, 1, 1, 1), None, {}, keys)


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    path.write_bytes(parse(new_keyring()).with_tenant("acme").with_tenant("other").to_bytes())
    return path


@pytest.fixture
def keys(keyring: Path) -> Directory:
    directory = Directory(KeyringFile(keyring))
    directory._tenants = {name: tenant_entry(directory, name) for name in ("acme", "other")}
    return directory


@pytest.fixture
def snapshots(tmp_path: Path, keys: Directory) -> Snapshots:
    return Snapshots(tmp_path / "here", DirectoryStore(tmp_path / "objects"), keys, SETTINGS)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshotfile, "CHUNK", CHUNK)


def image_of(cortex: Cortex) -> Image:
    image = Image.of(cortex.state())
    image.fill(cortex.state())
    return image


def write(snapshots: Snapshots, origin: Origin, cortex: Cortex = CORTEX) -> Path:
    return snapshots.write(origin, image_of(cortex), None)


def open_newest(snapshots: Snapshots) -> tuple[Origin, Cortex]:
    return snapshots.open(snapshots.here("acme", "main")[0])


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_was_written_opens(snapshots: Snapshots) -> None:
    path = write(snapshots, FIRST)
    origin, cortex = open_newest(snapshots)
    assert origin == FIRST
    assert cortex.digest() == CORTEX.digest()
    assert path.stat().st_mode & 0o777 == 0o600
    cortex.apply(cortex.compete([])[1])


def test_nothing_of_the_contents_is_in_the_file(snapshots: Snapshots) -> None:
    content = write(snapshots, FIRST).read_bytes()
    for plain in (b"arrays.bits", CORTEX.arrays.bits[7].tobytes()[:8], CORTEX.concepts.id_of(7), b"digest"):
        assert plain not in content


def chunks_of(content: bytes) -> tuple[bytes, list[bytes]]:
    """Head and manifest, and the chunks."""
    start, size = 64 + int.from_bytes(content[60:64], "big"), CHUNK + OVERHEAD
    return content[:start], [content[at : at + size] for at in range(start, len(content), size)]


def damaged(snapshots: Snapshots, content: bytes) -> str:
    name = snapshots.here("acme", "main")[0]
    (snapshots._directory / str(name)).write_bytes(content)
    with pytest.raises(SnapshotDamagedError) as found:
        snapshots.open(name)
    return str(found.value)


def test_a_bit_flipped_anywhere_is_noticed(snapshots: Snapshots) -> None:
    content = write(snapshots, FIRST).read_bytes()
    head, chunks = chunks_of(content)
    assert len(chunks) > 9
    places = {*range(70), *range(0, len(content), 40_009), len(content) - 1, len(head), len(head) + 40}
    for place in sorted(places):
        altered = bytearray(content)
        altered[place] ^= 1 << place % 8
        assert damaged(snapshots, bytes(altered))


def test_a_file_that_was_cut_or_extended_is_noticed(snapshots: Snapshots) -> None:
    content = write(snapshots, FIRST).read_bytes()
    head, chunks = chunks_of(content)
    for end in (0, 1, 63, 64, 65, len(head), len(head) + 1, len(head) + len(chunks[0]), len(content) - 1):
        damaged(snapshots, content[:end])
    damaged(snapshots, content + b"\0")
    damaged(snapshots, content + chunks[0])


def test_chunks_that_change_places_are_noticed(snapshots: Snapshots) -> None:
    one, other = write(snapshots, FIRST).read_bytes(), write(snapshots, FIRST).read_bytes()
    (head, chunks), (_, theirs) = chunks_of(one), chunks_of(other)
    for wrong in ([chunks[1], chunks[0], *chunks[2:]], [theirs[0], *chunks[1:]]):
        assert damaged(snapshots, head + b"".join(wrong)) == "the record does not open"
    shorter = bytearray(head)  # one chunk less, and a head that says so
    body = int.from_bytes(head[44:52], "big")
    shorter[44:52] = (body - (body % CHUNK or CHUNK)).to_bytes(8, "big")
    shorter[52:56] = (len(chunks) - 1).to_bytes(4, "big")
    assert damaged(snapshots, bytes(shorter) + b"".join(chunks[:-1])) == "the record does not open"


def test_a_head_that_lies_about_sizes_takes_no_memory(snapshots: Snapshots) -> None:
    content = write(snapshots, FIRST).read_bytes()
    for at, size in ((44, 8), (52, 4), (56, 4), (60, 4)):
        damaged(snapshots, content[:at] + b"\xff" * size + content[at + size :])
        damaged(snapshots, content[:at] + bytes(size) + content[at + size :])


def test_a_snapshot_opens_under_no_other_name(snapshots: Snapshots) -> None:
    path = write(snapshots, FIRST)
    name = snapshots.here("acme", "main")[0]
    for other in (
        replace(name, seq=8), replace(name, token=4),
        replace(name, cortex="other"), replace(name, tenant="other"),
    ):  # fmt: skip
        path.with_name(str(other)).write_bytes(path.read_bytes())
        with pytest.raises(SnapshotDamagedError):
            snapshots.open(other)


def test_a_snapshot_of_other_settings_prior_or_format_is_not_used(
    snapshots: Snapshots, tmp_path: Path, keys: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(snapshots, FIRST)
    with pytest.raises(SnapshotDamagedError, match="settings"):
        open_newest(Snapshots(tmp_path / "here", None, keys, CortexSettings(refractory=7)))
    with monkeypatch.context() as patch:
        patch.setattr(snapshotfile, "PRIOR", 2)
        with pytest.raises(SnapshotDamagedError, match="prior"):
            open_newest(snapshots)
    content = path.read_bytes()
    assert "format 2" in damaged(snapshots, content[:8] + b"\0\2" + content[10:])
    assert "no snapshot" in damaged(snapshots, b"CXKGSNAQ" + content[8:])


def test_the_state_of_another_version_is_not_used(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = CORTEX.state()
    old = {name: value for name, value in state.items() if name != "free.resting"}
    image = Image.of(old)
    image.fill(old)
    snapshots.write(FIRST, image)
    with pytest.raises(SnapshotDamagedError, match=r"free\.resting"):
        open_newest(snapshots)


def test_shredding_a_tenants_key_closes_its_snapshots(
    snapshots: Snapshots, keyring: Path, keys: Directory, tmp_path: Path
) -> None:
    write(snapshots, FIRST)
    ring = parse(keyring.read_bytes())
    shredded = tmp_path / "keyring.json"
    shredded.write_bytes(
        ring.__class__(
            format=ring.format, generation=9, root_id=ring.root_id, root_key=ring.root_key,
            tenants={name: kept for name, kept in ring.tenants.items() if name != "acme"},
        ).to_bytes()
    )  # fmt: skip
    without = Directory(KeyringFile(shredded))
    without._tenants = keys.tenants
    with pytest.raises(SnapshotDamagedError, match="no key of tenant acme"):
        open_newest(Snapshots(tmp_path / "here", None, without, SETTINGS))
    without._tenants = {}
    with pytest.raises(SnapshotDamagedError, match="not known"):
        open_newest(Snapshots(tmp_path / "here", None, without, SETTINGS))


def test_a_version_of_the_key_that_is_gone_closes_what_it_sealed(
    snapshots: Snapshots, keys: Directory
) -> None:
    write(snapshots, FIRST)
    entry = keys.tenants["acme"]
    newer = tenant_entry(keys, "acme", versions=2).data_keys[2]
    keys._tenants["acme"] = replace(
        entry, data_keys={1: replace(entry.data_keys[1], state="DECRYPT_ONLY"), 2: newer}
    )
    open_newest(snapshots)
    keys._tenants["acme"] = replace(
        entry, data_keys={1: replace(entry.data_keys[1], state="DESTROYED"), 2: newer}
    )
    with pytest.raises(SnapshotDamagedError, match="version 1 of tenant acme's key is destroyed"):
        open_newest(snapshots)
    second = replace(SECOND, key_version=2)
    write(snapshots, second)
    assert open_newest(snapshots)[0] == second
    assert snapshots.here("acme", "main") == [Name.of(second)]  # none by the older key is kept


def test_without_a_key_nothing_is_written(snapshots: Snapshots, keys: Directory, tmp_path: Path) -> None:
    write(snapshots, FIRST)
    keys._tenants = {}
    with pytest.raises(UnknownKey):
        write(snapshots, SECOND)
    assert files(tmp_path / "here") == [str(Name.of(FIRST))]


def test_the_last_two_are_kept_and_the_newest_counts(snapshots: Snapshots, tmp_path: Path) -> None:
    for origin in (THIRD, FIRST, SECOND, replace(FIRST, token=4)):
        write(snapshots, origin)
    write(snapshots, replace(FIRST, cortex="second"))
    assert [(name.token, name.seq) for name in snapshots.here("acme", "main")] == [(4, 7), (3, 11)]
    assert len(files(tmp_path / "here")) == 3
    snapshots.retain([("acme", "second")])
    assert snapshots.here("acme", "main") == []
    assert len(snapshots.here("acme", "second")) == 1


def test_what_is_asked_to_stop_leaves_what_there_was(snapshots: Snapshots, tmp_path: Path) -> None:
    write(snapshots, FIRST)
    stop = threading.Event()
    stop.set()
    with pytest.raises(WritingStopped):
        snapshots.write(SECOND, image_of(CORTEX), stop)
    assert files(tmp_path / "here") == [str(Name.of(FIRST))]


def test_a_full_disk_leaves_what_there_was(
    snapshots: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(snapshots, FIRST)
    write_, written = os.write, count()

    def full(descriptor: int, data: bytes) -> int:
        if next(written) == 2:
            raise OSError(28, "No space left on device")
        return write_(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write(snapshots, SECOND)
    assert files(tmp_path / "here") == [str(Name.of(FIRST))]


def test_links_pipes_directories_and_strange_names_are_no_snapshots(
    snapshots: Snapshots, tmp_path: Path
) -> None:
    path, here = write(snapshots, FIRST), tmp_path / "here"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_newest(snapshots)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SnapshotDamagedError):
        open_newest(snapshots)
    path.unlink()
    path.mkdir()
    with pytest.raises(SnapshotDamagedError):
        open_newest(snapshots)
    path.rmdir()
    for name in (
        "acme.main.snapshot",
        "acme.main.3-7.snapshot",
        f"{path.name}~",
        f"x{'y' * 200}",
        f".{path.name}",
    ):
        (here / name).write_bytes(b"")
    assert snapshots.here("acme", "main") == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a.b", "A", "a\n", "x" * 41])
def test_names_that_would_lead_elsewhere_are_refused(snapshots: Snapshots, name: str, tmp_path: Path) -> None:
    for origin in (replace(FIRST, cortex=name), replace(FIRST, tenant=name)):
        with pytest.raises(ValueError, match="no names"):
            write(snapshots, origin)
    assert files(tmp_path) == ["here"]
    assert files(tmp_path / "here") == []


def test_an_object_is_fetched_and_then_it_is_here(
    snapshots: Snapshots, tmp_path: Path, keys: Directory
) -> None:
    for origin in (FIRST, SECOND, THIRD):
        write(snapshots, origin)
        snapshots.upload(Name.of(origin))
    assert [name.seq for name in snapshots.stored("acme", "main")] == [11, 9]
    other = Snapshots(tmp_path / "there", DirectoryStore(tmp_path / "objects"), keys, SETTINGS)
    origin, cortex = other.fetch(other.stored("acme", "main")[0])
    assert origin == THIRD
    assert cortex.digest() == CORTEX.digest()
    assert other.here("acme", "main") == [Name.of(THIRD)]


def test_an_object_that_is_damaged_or_cut_is_not_kept(
    snapshots: Snapshots, tmp_path: Path, keys: Directory
) -> None:
    write(snapshots, FIRST)
    snapshots.upload(Name.of(FIRST))
    stored = tmp_path / "objects" / str(Name.of(FIRST))
    content = stored.read_bytes()
    other = Snapshots(tmp_path / "there", DirectoryStore(tmp_path / "objects"), keys, SETTINGS)
    flipped = bytes([content[99_999] ^ 1])
    for wrong in (content[:-1], content[:99_999] + flipped + content[100_000:]):
        stored.write_bytes(wrong)
        with pytest.raises(SnapshotDamagedError):
            other.fetch(Name.of(FIRST))
        assert files(tmp_path / "there") == []
    stored.unlink()
    with pytest.raises(ObjectStoreError):
        other.fetch(Name.of(FIRST))
    assert files(tmp_path / "there") == []


def killed_at_each_line(run: Callable[[], object]) -> Iterator[bool]:
    """Run it in a process that is killed at its first line here that matters, then at its second, and so on.

    Yields after each, and tells whether it came to its end: then there was no further line.
    """
    for line in count(1):
        pid = os.fork()
        if not pid:
            try:
                die_at(line)
                run()
            finally:
                os._exit(0)
        finished = not os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        yield finished
        if finished:
            return


def die_at(line: int) -> None:
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if Path(frame.f_code.co_filename).stem not in ("durable", "snapshots", "snapshotfile", "objectstore"):
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


@pytest.mark.exhaustive
def test_killed_at_any_line_there_is_the_old_one_or_the_new_one(
    snapshots: Snapshots, keys: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshotfile, "CHUNK", 8 * CHUNK)
    here, image, seen = tmp_path / "here", image_of(CORTEX), []
    write(snapshots, FIRST)
    write(snapshots, SECOND)
    for finished in killed_at_each_line(lambda: snapshots.write(THIRD, image)):
        after = Snapshots(here, None, keys, SETTINGS)
        assert all(Name.parse(name) for name in files(here))
        origin, cortex = open_newest(after)
        assert cortex.digest() == CORTEX.digest()
        seen.append(origin.seq)
        if finished:
            assert [name.seq for name in after.here("acme", "main")] == [11, 9]
        elif origin == THIRD:
            (here / str(Name.of(THIRD))).unlink()
            write(snapshots, FIRST)
    assert seen == sorted(seen)
    assert set(seen) == {9, 11}
    assert seen.count(9) > 50


def test_killed_at_any_line_of_an_upload_there_is_the_whole_object_or_none(
    snapshots: Snapshots, tmp_path: Path
) -> None:
    content, seen = write(snapshots, FIRST).read_bytes(), []
    stored = tmp_path / "objects" / str(Name.of(FIRST))
    for _ in killed_at_each_line(lambda: snapshots.upload(Name.of(FIRST))):
        found = snapshots.stored("acme", "main")
        assert found in ([], [Name.of(FIRST)])
        seen.append(len(found))
        if found:
            assert stored.read_bytes() == content
            stored.unlink()
    assert set(seen) == {0, 1}
