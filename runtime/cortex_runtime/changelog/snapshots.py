"""A node's snapshots: in a directory of its own, and in the object store of its region.

A file's name tells whose it is, of which position, and by which version of the tenant's key it is sealed:
`tenant.cortex.token-seq.version.snapshot`. What does not open is not used; nothing depends on a snapshot but
how long a node takes to load.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex_runtime.changelog import snapshotfile
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.changelog.snapshotfile import Keys, Origin, SnapshotDamagedError
from cortex_runtime.columns import Cortex, CortexSettings
from cortex_runtime.columns.snapshot import Image
from cortex_runtime.durable import remove_temporaries, replacing, sync_directory
from cortex_runtime.objectstore import NoSuchObjectError, ObjectStore

KEPT = 2
_PART = "[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_NAME = re.compile(rf"({_PART})\.({_PART})\.([0-9a-f]{{16}})-([0-9a-f]{{16}})\.(\d{{1,9}})\.snapshot")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A snapshot's name. Of the same cortex the newest is the greatest: a token is never used again."""

    tenant: str
    cortex: str
    token: int
    seq: int
    key_version: int

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """Return what a file's or object's name tells, None when it is not one of a snapshot."""
        match = _NAME.fullmatch(text)
        return match and cls(match[1], match[2], int(match[3], 16), int(match[4], 16), int(match[5]))

    @classmethod
    def of(cls, origin: Origin) -> Name:
        """Return the name of a snapshot."""
        return cls(origin.tenant, origin.cortex, origin.token, origin.seq, origin.key_version)

    @property
    def key(self) -> Key:
        """Return whose it is."""
        return self.tenant, self.cortex

    def __str__(self) -> str:
        text = f"{self.tenant}.{self.cortex}.{self.token:016x}-{self.seq:016x}.{self.key_version}.snapshot"
        if not _NAME.fullmatch(text):
            raise ValueError(f"{self.tenant[:64]!r}, {self.cortex[:64]!r} are no names of tenant and cortex")
        return text


class Snapshots:
    """Writes, finds, opens and removes snapshots. All calls block: call them from a thread."""

    def __init__(
        self, directory: Path, objects: ObjectStore | None, keys: Keys, settings: CortexSettings
    ) -> None:
        self._directory, self._objects, self._keys, self._settings = directory, objects, keys, settings
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_temporaries(directory)

    def active_version(self, tenant: str) -> int:
        """Return the version of a tenant's key that seals its snapshots. Raises UnknownKey."""
        return self._keys.active_version(tenant)

    def here(self, tenant: str, cortex: str) -> list[Name]:
        """Return the snapshots of a cortex in the directory, the newest first."""
        return _of(self._all_here(), tenant, cortex)

    def stored(self, tenant: str, cortex: str) -> list[Name]:
        """Return the snapshots of a cortex in the object store, the newest first. Raises ObjectStoreError."""
        found = self._objects.names(f"{tenant}.{cortex}.") if self._objects else []
        return _of(filter(None, map(Name.parse, found)), tenant, cortex)

    def write(self, origin: Origin, image: Image, stop: threading.Event | None = None) -> Path:
        """Write a snapshot into the directory, and remove those of the cortex that it supersedes.

        Raises OSError, UnknownKey, KeyringError or WritingStopped: then there is what there was.
        """
        path = self._directory / str(Name.of(origin))
        with replacing(path) as descriptor:
            snapshotfile.write(descriptor, origin, image, self._settings, self._keys, stop)
        self._remove(_superseded(self.here(origin.tenant, origin.cortex)))
        return path

    def open(self, name: Name) -> tuple[Origin, Cortex]:
        """Open a snapshot in the directory. Raises SnapshotDamagedError or OSError."""
        with self._opened(name) as descriptor:
            return self._read(descriptor, name)

    def fetch(self, name: Name) -> tuple[Origin, Cortex]:
        """Open a snapshot of the object store; it is in the directory afterwards, unless it is damaged.

        Raises SnapshotDamagedError, OSError or ObjectStoreError.
        """
        if self._objects is None:
            raise NoSuchObjectError(f"{name}: there is no object store")
        with replacing(self._directory / str(name)) as descriptor:
            self._objects.get(str(name), descriptor)
            return self._read(descriptor, name)

    def upload(self, name: Name) -> None:
        """Put a snapshot of the directory into the object store, and delete those that it supersedes.

        Raises OSError or ObjectStoreError.
        """
        if self._objects is not None:
            self._objects.put(str(name), self._directory / str(name))
            for old in _superseded(self.stored(name.tenant, name.cortex)):
                self._objects.delete(str(old))

    def retain(self, cortices: Iterable[Key]) -> None:
        """Remove the snapshots in the directory that are of none of these cortices. Raises OSError."""
        kept = set(cortices)
        self._remove([name for name in self._all_here() if name.key not in kept])

    def retain_stored(self, cortices: Mapping[int, Collection[Key]]) -> None:
        """Delete the snapshots in the object store that are of these slots and of none of their cortices.

        Raises ObjectStoreError.
        """
        for name in self._all_stored():
            slot = slot_of(*name.key)
            if slot in cortices and name.key not in cortices[slot] and self._objects is not None:
                self._objects.delete(str(name))

    def forget_older(self, versions: Mapping[Key, int], slots: Collection[int]) -> None:
        """Remove snapshots by versions of keys before those of their cortices: here, and the stored of slots.

        Raises OSError or ObjectStoreError.
        """

        def older(names: list[Name]) -> list[Name]:
            return [name for name in names if name.key_version < versions.get(name.key, 0)]

        self._remove(older(self._all_here()))
        for name in older(self._stored_in(slots)):
            assert self._objects is not None
            self._objects.delete(str(name))

    def forget(self, tenants: Collection[str]) -> None:
        """Remove all snapshots of tenants, here and in the store. Raises OSError or ObjectStoreError."""
        self._remove([name for name in self._all_here() if name.tenant in tenants])
        for name in self._stored_of(tenants):
            assert self._objects is not None
            self._objects.delete(str(name))

    def key_use(self, slots: Collection[int]) -> Counter[tuple[str, int]]:
        """Return how many snapshots need each version of each key: of those here, and of the stored of slots.

        Raises OSError or ObjectStoreError.
        """
        names = [*self._all_here(), *self._stored_in(slots)]
        return Counter((name.tenant, name.key_version) for name in names)

    def count(self, tenant: str) -> tuple[int, int]:
        """Return how many snapshots of a tenant are here and in the object store. Raises as `forget`."""
        here = sum(name.tenant == tenant for name in self._all_here())
        return here, len(self._stored_of({tenant}))

    def _stored_of(self, tenants: Collection[str]) -> list[Name]:
        return [name for name in self._all_stored() if name.tenant in tenants]

    def _stored_in(self, slots: Collection[int]) -> list[Name]:
        return [name for name in self._all_stored() if slot_of(*name.key) in slots] if slots else []

    def _all_stored(self) -> list[Name]:
        return list(filter(None, map(Name.parse, self._objects.names("") if self._objects else ())))

    @contextmanager
    def _opened(self, name: Name) -> Iterator[int]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._directory / str(name), flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _all_here(self) -> list[Name]:
        return [name for path in self._directory.iterdir() if (name := Name.parse(path.name))]

    def _remove(self, names: list[Name]) -> None:
        for name in names:
            (self._directory / str(name)).unlink(missing_ok=True)
        if names:
            sync_directory(self._directory)

    def _read(self, descriptor: int, name: Name) -> tuple[Origin, Cortex]:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SnapshotDamagedError("it is no file")
        origin, cortex = snapshotfile.read(descriptor, *name.key, self._settings, self._keys)
        if Name.of(origin) != name:
            raise SnapshotDamagedError(f"it is of position {origin.token}, {origin.seq}")
        return origin, cortex


def _of(names: Iterable[Name], tenant: str, cortex: str) -> list[Name]:
    return sorted((name for name in names if name.key == (tenant, cortex)), reverse=True)


def _superseded(names: list[Name]) -> list[Name]:
    """Return which snapshots of a cortex, newest first, are kept no more: the third, or by an older key."""
    return [name for n, name in enumerate(names) if n >= KEPT or name.key_version < names[0].key_version]
