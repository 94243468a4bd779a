"""Rotation: a new version is made PENDING, proven in every region that lives, and then made ACTIVE.

Each step can be repeated: a run that was ended anywhere is finished by the next one, since the service
hands out the version that is PENDING already instead of making another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.client import ApiError, Client, ClientError, ConnectionFailed
from cortex_runtime.formats.messages import KeyVersion
from cortexctl.errors import Refused

REGIONS_NEEDED = 2


@dataclass(frozen=True, slots=True)
class Rotation:
    """A finished rotation: the version all new writes use, where it was proven, and how long it took."""

    tenant: str
    version: int
    previous: int | None
    proven: tuple[str, ...]
    unproven: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rotation would do: make a version, or go on with one that an earlier run left PENDING."""

    tenant: str
    active: int | None
    would: str


def preview(client: Client, tenant: str) -> Planned:
    """Return what a rotation would do. Raises ClientError."""
    found = versions(client, tenant)
    pending = next((one.version for one in found if one.state == "PENDING"), None)
    would = (
        "make, prove and activate a new version"
        if pending is None
        else f"prove and activate version {pending}"
    )
    return Planned(tenant, _active(found), would)


def versions(client: Client, tenant: str) -> list[KeyVersion]:
    """Return the versions of a tenant's data key, oldest first. Raises ClientError."""
    found = client.request("GET", f"/v1/tenants/{tenant}/keys", type=list[KeyVersion])
    return sorted(found, key=lambda version: version.version)


def rotate(
    client: Client,
    regions: dict[str, Callable[[], Client]],
    tenant: str,
    *,
    told: Callable[[str], None] = lambda _: None,
) -> Rotation:
    """Rotate a tenant's data key; `regions` maps each to a way to its own load balancer.

    Regions that do not answer are left out; they prove the key before they serve again. Raises Refused when
    fewer than two prove it: it stays PENDING then, and nothing uses it. Raises ClientError.
    """
    started = time.monotonic()
    previous = _active(versions(client, tenant))
    path = f"/v1/tenants/{tenant}/keys"
    pending = client.request("POST", path, type=KeyVersion)
    told(f"Version {pending.version} is {pending.state}.")
    proven, failures = _prove(regions, f"{path}/{pending.version}/prove", told)
    if len(proven) < REGIONS_NEEDED:
        raise Refused(
            f"Version {pending.version} was proven in {len(proven)} regions; {REGIONS_NEEDED} are needed.",
            why="; ".join(f"{region}: {reason}" for region, reason in failures.items()),
            todo="Nothing uses it yet. Mend the regions (cortexctl status), then rotate again to go on.",
        )
    active = client.request("POST", f"{path}/{pending.version}/activate", type=KeyVersion)
    return Rotation(
        tenant, active.version, previous, proven, tuple(failures), round(time.monotonic() - started, 3)
    )


def _prove(
    regions: dict[str, Callable[[], Client]], path: str, told: Callable[[str], None]
) -> tuple[tuple[str, ...], dict[str, str]]:
    proven: list[str] = []
    failures: dict[str, str] = {}
    for region, connect in regions.items():
        try:
            with connect() as client:
                client.request("POST", path, type=KeyVersion)
        except (ConnectionFailed, ApiError) as error:
            if not _region_is_away(error):
                raise
            failures[region] = str(error)
            told(f"Region {region} does not answer; it proves the key when it returns.")
        else:
            proven.append(region)
            told(f"Region {region} has proven it.")
    return tuple(proven), failures


def _region_is_away(error: ClientError) -> bool:
    return not isinstance(error, ApiError) or error.code in {"unavailable", "outcome_unknown"}


def _active(found: list[KeyVersion]) -> int | None:
    return next((version.version for version in found if version.state == "ACTIVE"), None)
