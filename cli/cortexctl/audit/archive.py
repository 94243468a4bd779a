"""An export of an audit log: a directory that needs nothing else to be verified.

segments.jsonl           a line for each leaf of the tree, in its order: id, numbers, hash, content
checkpoint               the signed head of the tree
anchors/REGION/SIZE      checkpoints that the regions' object stores kept
checkpoint-signing.pub   the public key, for convenience: trust the one that you got otherwise
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cortex_runtime.client import ApiError, Client, ConnectionFailed
from cortex_runtime.formats.messages import AuditSegment, AuditTree
from cortexctl import access, durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused

SEGMENTS, CHECKPOINT, ANCHORS, PUBLIC_KEY = (
    "segments.jsonl",
    "checkpoint",
    "anchors",
    "checkpoint-signing.pub",
)
NO_TENANT = "-"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported, and the regions whose anchors could not be had."""

    tenant: str
    size: int
    events: int
    anchors: int
    unreached: tuple[str, ...]
    directory: str


def trees(client: Client) -> list[AuditTree]:
    """Return the heads of all logs. Raises ClientError."""
    return client.request("GET", "/v1/audit/trees", type=list[AuditTree])


def export(deployment: Deployment, client: Client, tenant: str, directory: Path) -> Exported:
    """Write a log into a directory that is not there yet: whole, or not at all.

    Raises Refused when it is there, or there is no such log; ClientError.
    """
    if directory.exists():
        raise Refused(f"{directory} is there already.", todo="Name a directory that is not.")
    part = directory.with_name(f".{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True, mode=0o700)
        # Anchors first: whatever they have is in the tree that is read after them.
        anchored, unreached = _write_anchors(deployment, tenant, part / ANCHORS)
        tree = _tree_of(client, tenant)
        durable.write(part / CHECKPOINT, tree.checkpoint.encode())
        durable.write(part / PUBLIC_KEY, public_key(deployment))
        with (part / SEGMENTS).open("wb") as file:
            for segment in segments(client, tenant, 0, tree.size):
                file.write(msgspec.json.encode(segment) + b"\n")
        part.rename(directory)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Exported(tenant, tree.size, tree.events, anchored, unreached, str(directory))


def segments(client: Client, tenant: str, first: int, end: int) -> Iterator[AuditSegment]:
    """Yield a log's segments from a leaf to before another. Raises ClientError."""
    while first < end:
        found = page(client, tenant, first)
        if not found:
            return
        yield from (segment for segment in found if segment.leaf < end)
        first = found[-1].leaf + 1


def page(client: Client, tenant: str, first: int) -> list[AuditSegment]:
    """Return a log's segments from a leaf on, as many as the service gives at a time. Raises ClientError."""
    path = f"/v1/audit/segments?tenant={tenant}&first={first}"
    return client.request("GET", path, type=list[AuditSegment])


def public_key(deployment: Deployment) -> bytes:
    """Return the public half of the deployment's checkpoint signing key. Raises Refused."""
    path = deployment.directory / "secrets" / PUBLIC_KEY
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(
            "The key that checks the audit log is not there.", why=str(error),
            todo="Run cortexctl up, or run this as the user that ran it.",
        ) from error  # fmt: skip


def _tree_of(client: Client, tenant: str) -> AuditTree:
    for tree in trees(client):
        if tree.tenant == tenant:
            return tree
    raise Refused(
        f"There is no audit log of {tenant!r}.",
        todo="cortexctl tenant list shows the tenants; - is the log of what is of no tenant.",
    )


def _write_anchors(deployment: Deployment, tenant: str, directory: Path) -> tuple[int, tuple[str, ...]]:
    count, unreached = 0, []
    for region, connect in access.region_doors(deployment).items():
        (directory / region).mkdir(parents=True)
        try:
            with connect() as client:
                found = client.request("GET", f"/v1/audit/anchors?tenant={tenant}", type=list[str])
        except (ConnectionFailed, ApiError):
            unreached.append(region)
            continue
        for note in found:
            size = note.split("\n", 2)[1] if note.count("\n") > 1 else ""
            name = size if size.isdecimal() else f"damaged-{count}"
            durable.write(directory / region / name, note.encode())
            count += 1
    return count, tuple(unreached)
