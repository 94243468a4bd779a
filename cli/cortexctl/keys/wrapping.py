"""Rotation of what wraps keys: a tenant's key-encryption key, and the root key. No record is sealed anew.

The keyrings, or AWS KMS, come first: every region has the new key before anything is wrapped by it, and the
old one is destroyed last, when no region's database and no backup that is kept needs it. The caller holds the
deployment's lock; a run that was ended anywhere is finished by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.client import Client, ClientError
from cortex_runtime.formats.messages import Rewrapped, RewrapRequest, Wrapping
from cortexctl.deployment import Deployment
from cortexctl.tenants import keks, keyrings

Doors = dict[str, Callable[[], Client]]
FOLLOW_PATIENCE = 10.0
POLL = 0.1


@dataclass(frozen=True, slots=True)
class KekRotation:
    """A finished rotation of a key-encryption key; `kept` says why older versions stay in the keyrings."""

    tenant: str
    kek_version: int
    rewrapped: int
    keyring_generation: int
    kept: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RootRotation:
    """A finished rotation of the root key."""

    root_id: str
    keyring_generation: int
    written: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedKek:
    """What a rotation of a key-encryption key would do."""

    tenant: str
    kek_version: int
    would: str


def preview_kek(deployment: Deployment, client: Client, tenant: str) -> PlannedKek:
    """Return what rotate_kek would do. Raises Refused and ClientError."""
    newest, begun = _newest(deployment, client, tenant)
    would = f"wrap all keys by version {newest}" if begun else "make the next version, wrap all keys by it"
    return PlannedKek(tenant, newest, would)


def rotate_kek(
    deployment: Deployment, client: Client, doors: Doors, tenant: str,
    *, told: Callable[[str], None] = lambda _: None,
) -> KekRotation:  # fmt: skip
    """Make the next version of a tenant's key-encryption key, and wrap all of its keys by it.

    Raises Refused (the keyring of a region cannot be written) and ClientError.
    """
    started = time.monotonic()
    newest, begun = _newest(deployment, client, tenant)
    if not begun:
        keks.of(deployment).next_key(deployment, tenant)
        newest += 1
        told(f"Version {newest} of {tenant}'s key-encryption key is in every region.")
    done = client.request(
        "POST", f"/v1/tenants/{tenant}/keys/rewrap", RewrapRequest(kek_version=newest), type=Rewrapped
    )
    told(f"{done.rewrapped} keys are wrapped by it.")
    generation, kept = tidy(deployment, doors, tenant, newest)
    seconds = round(time.monotonic() - started, 3)
    return KekRotation(tenant, newest, done.rewrapped, generation, kept, seconds)


def tidy(deployment: Deployment, doors: Doors, tenant: str, newest: int) -> tuple[int, tuple[str, ...]]:
    """Destroy the key-encryption keys that nothing needs any more.

    Returns the keyring's generation, and what keeps some of them. Raises Refused.
    """
    needed, kept = {newest}, []
    until = time.monotonic() + FOLLOW_PATIENCE
    for region, connect in doors.items():
        found = _wrapping(connect, tenant, newest, until)
        if found is None:
            kept.append(f"region {region} does not answer")
            continue
        needed |= {*found.kek_versions, *found.backups}
        kept += [f"region {region} needs version {one}" for one in found.kek_versions if one != newest]
        kept += [f"a backup needs version {one}" for one in found.backups if one != newest]
    if any("does not answer" in reason for reason in kept):
        needed |= keks.of(deployment).versions(deployment, tenant)
    change = keks.of(deployment).drop_keys(deployment, tenant, needed)
    return change.generation, tuple(dict.fromkeys(kept))


def rotate_root(deployment: Deployment) -> RootRotation:
    """Give the keyrings a new root key. Nothing outside of them changes. Raises Refused."""
    started = time.monotonic()
    change = keyrings.reroot(deployment)
    root_id = keyrings.newest(deployment).root_id
    return RootRotation(root_id, change.generation, change.written, round(time.monotonic() - started, 3))


def _newest(deployment: Deployment, client: Client, tenant: str) -> tuple[int, bool]:
    """Return the newest version in the keyrings, and whether a run that was ended had begun with it."""
    in_use = client.request("GET", f"/v1/tenants/{tenant}/keys/wrapping", type=Wrapping).kek_versions
    newest = keks.of(deployment).newest_version(deployment, tenant)
    return newest, in_use != [newest]


def _wrapping(connect: Callable[[], Client], tenant: str, newest: int, until: float) -> Wrapping | None:
    """Return what a region says once it has followed, or last said; None when it does not answer."""
    found = None
    while True:
        try:
            with connect() as client:
                found = client.request("GET", f"/v1/tenants/{tenant}/keys/wrapping", type=Wrapping)
        except ClientError:
            return found
        if found.kek_versions == [newest] or time.monotonic() > until:
            return found
        time.sleep(POLL)
