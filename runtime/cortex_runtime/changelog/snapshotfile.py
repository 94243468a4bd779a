"""A snapshot's file: one cortex's arrays at a position of its slot's log, sealed.

    head        64 bytes in the clear: what has to be known before anything opens, and nothing of contents
    manifest    sealed JSON: settings, digest of the log, which array is where in the body
    chunks      1 MiB of the body each, the last one less, each sealed by itself

The body is an image (columns.snapshot): the arrays page-aligned, one after the other. Manifest and chunks are
records of the envelope (security.envelope). Their associated data are tenant, cortex, the chunk's number and
the whole head, in which are the number of chunks and 16 random bytes of the file's own: nothing opens in
another place, in another file or as another cortex', and no end can be cut off. What is opened is in
anonymous memory, never in a file.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import msgspec

from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.columns import Cortex, CortexSettings
from cortex_runtime.columns.prior import VERSION as PRIOR
from cortex_runtime.columns.snapshot import ArrayPlace, Image, ImageError, check_parts
from cortex_runtime.formats import decoding
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.directory import UnknownKey
from cortex_runtime.security.envelope import OVERHEAD, CannotOpen, Place, key_version_of

FORMAT = 1
CHUNK = 1 << 20
MAX_MANIFEST = 1 << 18
MAX_OPENERS = 4
_MAGIC = b"CXKGSNAP"
_HEAD = struct.Struct(">8sHH16sQQQIII")  # see _Head


class SnapshotDamagedError(ValueError):
    """A snapshot that cannot be used: cut, altered, moved, of another format or key. The message says why."""


class WritingStopped(Exception):
    """Writing was asked to stop before it had come to its end."""


class Keys(Protocol):
    """What seals and opens the records of tenants: the Directory."""

    def active_version(self, tenant: str) -> int:
        """Return the version that seals. Raises UnknownKey."""

    def seal_into(self, place: Place, version: int, plain: memoryview, out: memoryview) -> None:
        """Seal a record by this version."""

    def unseal_into(self, place: Place, sealed: memoryview, out: memoryview) -> None:
        """Open a record. Raises CannotOpen, UnknownKey or KeyringError."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose state it is, and of which position: that of its slot's log up to which it has everything.

    `key_version` is that of the tenant's key which seals all of it.
    """

    tenant: str
    cortex: str
    token: int
    seq: int
    digest: bytes
    operations: int
    key_version: int

    @property
    def slot(self) -> int:
        """The cortex's slot."""
        return slot_of(self.tenant, self.cortex)


class _Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digest: bytes
    operations: int
    prior: int
    settings: CortexSettings
    numbers: dict[str, int]
    arrays: tuple[ArrayPlace, ...]


@dataclass(frozen=True, slots=True)
class _Head:
    format: int
    slot: int
    file: bytes
    token: int
    seq: int
    body: int  # bytes of the image
    chunks: int
    chunk: int  # bytes of each but the last
    manifest: int  # bytes of it, sealed

    def pack(self) -> bytes:
        return _HEAD.pack(
            _MAGIC, self.format, self.slot, self.file, self.token, self.seq, self.body,
            self.chunks, self.chunk, self.manifest,
        )  # fmt: skip

    @classmethod
    def read(cls, raw: bytes, size: int) -> _Head:
        """Return what the first bytes of a file of a size say. Raises SnapshotDamagedError."""
        if len(raw) < _HEAD.size:
            raise SnapshotDamagedError(f"it has {size} bytes, which is less than a head")
        magic, *fields = _HEAD.unpack(raw)
        head = cls(*fields)
        if magic != _MAGIC:
            raise SnapshotDamagedError("it is no snapshot")
        if (head.format, head.chunk) != (FORMAT, CHUNK):
            raise SnapshotDamagedError(f"it is of format {head.format}, this version's is {FORMAT}")
        if not OVERHEAD < head.manifest <= MAX_MANIFEST:
            raise SnapshotDamagedError(f"its manifest has {head.manifest} bytes")
        if head.size != size:
            raise SnapshotDamagedError(f"it has {size} bytes, its head tells of {head.size}")
        return head

    @property
    def size(self) -> int:
        return self.at(0) + self.body + self.chunks * OVERHEAD

    def at(self, number: int) -> int:
        """Return where a chunk is in the file."""
        return _HEAD.size + self.manifest + number * (self.chunk + OVERHEAD)

    def length(self, number: int) -> int:
        """Return how many bytes of the body are in a chunk."""
        return min(self.chunk, self.body - number * self.chunk)


def write(
    descriptor: int,
    origin: Origin,
    image: Image,
    settings: CortexSettings,
    keys: Keys,
    stop: threading.Event | None = None,
) -> None:
    """Write a snapshot into an empty file; it is not synced.

    Raises OSError, UnknownKey or KeyringError, or WritingStopped once `stop` is set.
    """
    described = _Manifest(
        digest=origin.digest, operations=origin.operations, prior=PRIOR, settings=settings,
        numbers=image.numbers, arrays=image.summed(),
    )  # fmt: skip
    manifest = msgspec.json.encode(described)
    body = memoryview(image.memory)[: image.size]
    head = _Head(
        FORMAT, origin.slot, os.urandom(16), origin.token, origin.seq, len(body), _count(len(body)), CHUNK,
        len(manifest) + OVERHEAD,
    )  # fmt: skip
    place_of = _places(head, origin.tenant, origin.cortex)
    sealed = memoryview(bytearray(max(CHUNK, len(manifest)) + OVERHEAD))
    _write_all(descriptor, memoryview(head.pack()))
    for number, plain in enumerate([memoryview(manifest), *_chunks(body)], start=-1):
        if stop is not None and stop.is_set():
            raise WritingStopped
        out = sealed[: len(plain) + OVERHEAD]
        keys.seal_into(place_of(number), origin.key_version, plain, out)
        _write_all(descriptor, out)


def read(
    descriptor: int, tenant: str, cortex: str, settings: CortexSettings, keys: Keys
) -> tuple[Origin, Cortex]:
    """Return what a snapshot's file has of a cortex. Raises SnapshotDamagedError or OSError.

    Chunks are opened by as many threads as there are processors for this process, at most four.
    """
    head = _Head.read(os.pread(descriptor, _HEAD.size, 0), os.fstat(descriptor).st_size)
    if head.slot != slot_of(tenant, cortex):
        raise SnapshotDamagedError(f"it is of slot {head.slot}, {tenant}/{cortex} is in another")
    place_of = _places(head, tenant, cortex)
    try:
        manifest = _open_manifest(descriptor, head, place_of(-1), keys)
        if manifest.prior != PRIOR or manifest.settings != settings:
            raise SnapshotDamagedError("it was made with another prior, or with other settings")
        image = Image.described(manifest.arrays, manifest.numbers, head.body)
        _open_chunks(descriptor, head, image, place_of, keys)
        state = image.state()
        check_parts(state)
    except (CannotOpen, UnknownKey, KeyringError, ImageError, msgspec.DecodeError) as error:
        raise SnapshotDamagedError(str(error)) from error
    restored = Cortex.from_state(settings, state)
    version = key_version_of(os.pread(descriptor, OVERHEAD, _HEAD.size))
    origin = Origin(tenant, cortex, head.token, head.seq, manifest.digest, manifest.operations, version)
    if restored.operations != origin.operations:
        raise SnapshotDamagedError(f"it is of operation {restored.operations}, not {origin.operations}")
    return origin, restored


def _open_manifest(descriptor: int, head: _Head, place: Place, keys: Keys) -> _Manifest:
    sealed = memoryview(bytearray(head.manifest))
    plain = bytearray(head.manifest - OVERHEAD)
    _read_all(descriptor, sealed, _HEAD.size)
    keys.unseal_into(place, sealed, memoryview(plain))
    return msgspec.json.decode(plain, type=_Manifest)


def _open_chunks(
    descriptor: int, head: _Head, image: Image, place_of: Callable[[int], Place], keys: Keys
) -> None:
    body = memoryview(image.memory)
    openers = max(1, min(MAX_OPENERS, len(os.sched_getaffinity(0)), head.chunks))

    def open_some(first: int) -> None:
        sealed = memoryview(bytearray(CHUNK + OVERHEAD))
        for number in range(first, head.chunks, openers):
            length, start = head.length(number), number * CHUNK
            part = sealed[: length + OVERHEAD]
            _read_all(descriptor, part, head.at(number))
            keys.unseal_into(place_of(number), part, body[start : start + length])

    with ThreadPoolExecutor(openers, "snapshot") as pool:
        list(pool.map(open_some, range(openers)))


def _places(head: _Head, tenant: str, cortex: str) -> Callable[[int], Place]:
    """Return what tells the place of each chunk by its number, and of the manifest by -1."""
    packed = head.pack()

    def place_of(number: int) -> Place:
        return Place(tenant, "snapshot", framed(packed, cortex, number), "chunk", head.seq)

    return place_of


def _count(body: int) -> int:
    return -(-body // CHUNK)


def _chunks(body: memoryview) -> list[memoryview]:
    return [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read_all(descriptor: int, into: memoryview, offset: int) -> None:
    while into:
        count = os.preadv(descriptor, [into], offset)
        if not count:
            raise SnapshotDamagedError("it ends before what its head tells of")
        into, offset = into[count:], offset + count


decoding.learn(globals())
