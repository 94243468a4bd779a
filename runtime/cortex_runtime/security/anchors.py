"""Anchors of the audit logs: checkpoints in each region's object store, under names that are written once.

A log that was rewritten as a whole, or lost its tail, is in order by itself; the checkpoints outside are not
those of its tree any more. Calls block.
"""

from __future__ import annotations

import os
import tempfile

from cortex_runtime.formats.checkpoint import MAX_BYTES
from cortex_runtime.objectstore import ObjectStore

NO_TENANT = "0"  # no tenant can have this name, which an object can


class RewrittenError(Exception):
    """Another tree of the same size was anchored before: the log is not the one it was."""


def keep(store: ObjectStore, tenant: str, size: int, checkpoint: str) -> bool:
    """Anchor a checkpoint; tell whether it was new. Raises RewrittenError or ObjectStoreError."""
    name = f"{_prefix(tenant)}{size}"
    if store.create(name, checkpoint.encode()):
        return True
    if (known := _content(store, name)) != checkpoint:
        raise RewrittenError(f"{name} is {known!r} and would be {checkpoint!r}")
    return False


def kept(store: ObjectStore, tenant: str, most: int) -> list[str]:
    """Return the newest anchored checkpoints of a tenant, by size. Raises ObjectStoreError."""
    prefix = _prefix(tenant)
    sizes = [name.removeprefix(prefix) for name in store.names(prefix)]
    newest = sorted((int(size) for size in sizes if size.isdecimal()), reverse=True)[:most]
    return [_content(store, f"{prefix}{size}") for size in sorted(newest)]


def _prefix(tenant: str) -> str:
    return f"audit/{tenant or NO_TENANT}/checkpoints/"


def _content(store: ObjectStore, name: str) -> str:
    with tempfile.TemporaryFile() as file:
        store.get(name, file.fileno())
        return os.pread(file.fileno(), MAX_BYTES, 0).decode("utf-8", "replace")
