"""What a tenant takes out, and has erased: GDPR, articles 15, 17 and 20."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import CortexSummary, ErasurePage, ErasureRequest, ExportPage
from cortexctl import access, durable
from cortexctl.errors import Refused


@dataclass(frozen=True, slots=True)
class ExportedCortex:
    """A cortex' file: JSON lines, one concept each, with the SHA-256 of all of it."""

    cortex: str
    file: str
    concepts: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """How many concepts of a subject were erased, by cortex."""

    tenant: str
    cortices: dict[str, int]
    erased: int


def cortices(client: Client, tenant: str) -> list[CortexSummary]:
    """Return a tenant's cortices. Raises ClientError."""
    return client.request("GET", f"/v1/tenants/{tenant}/cortices", type=list[CortexSummary])


def export(
    client: Client, tenant: str, directory: Path, *, told: Callable[[str], None] = lambda _: None
) -> list[ExportedCortex]:
    """Write all that is stored of a tenant's concepts into a directory, a file each cortex.

    A file has its name once it is whole; `export.json`, which lists them, is written last. Raises Refused
    and ClientError.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        for cortex in cortices(client, tenant):
            found.append(_export_cortex(client, tenant, cortex.name, directory))
            told(f"Cortex {cortex.name}: {found[-1].concepts} concepts.")
        content = msgspec.json.format(msgspec.json.encode({"tenant": tenant, "cortices": found}), indent=2)
        durable.write(directory / "export.json", content + b"\n")
    except OSError as error:
        raise Refused(
            f"The export cannot be written to {directory}.", why=str(error),
            todo="Choose another directory, or make room; then repeat.",
        ) from error  # fmt: skip
    return found


def erase(client: Client, tenant: str, subject: str | int | float | bool, property_: str) -> Erasure:
    """Erase the concepts of one subject in all cortices. May be repeated. Raises ClientError."""
    erased: dict[str, int] = {}
    for cortex in cortices(client, tenant):
        path, after, count = access.cortex_path(tenant, cortex.name, "erase"), None, 0
        while True:
            wanted = ErasureRequest(subject=subject, property=property_, after=after)
            page = client.request("POST", path, wanted, type=ErasurePage)
            count, after = count + page.erased, page.after
            if after is None:
                break
        erased[cortex.name] = count
    return Erasure(tenant, erased, sum(erased.values()))


def _export_cortex(client: Client, tenant: str, cortex: str, directory: Path) -> ExportedCortex:
    path, after, count = access.cortex_path(tenant, cortex, "export"), None, 0
    digest, target = hashlib.sha256(), directory / f"{cortex}.jsonl"
    with _replacing(target) as file:
        while True:
            page = client.request("GET", path + (f"?after={after}" if after else ""), type=ExportPage)
            for concept in page.concepts:
                line = msgspec.json.encode(concept) + b"\n"
                file.write(line)
                digest.update(line)
            count, after = count + len(page.concepts), page.after
            if after is None:
                break
    return ExportedCortex(cortex, target.name, count, digest.hexdigest())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Lend a file that takes its name once the block is through and it is on the disk."""
    temporary = path.with_name(f".{path.name}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    durable.sync_directory(path.parent)
