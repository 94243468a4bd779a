"""What needs each version of a key, its end, and whether what it seals opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.client import ApiError, Client, ClientError
from cortex_runtime.formats.messages import KeyVersion, LedgerEntry, Verified
from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.keys.rotation import versions

REENCRYPTION_PATIENCE = 3600.0
POLL = 0.5
TOLD_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Retirement:
    """What a version is, and what still needs it."""

    tenant: str
    version: int
    state: str
    needed: str


def ledger(client: Client, tenant: str) -> list[LedgerEntry]:
    """Return what needs each version of a tenant's key. Raises ClientError."""
    return client.request("GET", f"/v1/tenants/{tenant}/keys/ledger", type=list[LedgerEntry])


def preview_retirement(client: Client, tenant: str, version: int | None) -> list[Retirement]:
    """Return which versions would be tried, and what the ledger has of them. Raises ClientError, Refused."""
    uses = ledger(client, tenant)
    return [
        Retirement(
            tenant, key.version, key.state,
            ", ".join(f"{use.uses} {use.part}" for use in uses if use.version == key.version),
        )
        for key in _retirable(client, tenant, version)
    ]  # fmt: skip


def retire(client: Client, tenant: str, version: int | None) -> list[Retirement]:
    """Destroy a tenant's versions, or one, that nothing needs.

    Raises Refused, once all were tried, with what needs those that stay; and ClientError.
    """
    done, needed = [], []
    for key in _retirable(client, tenant, version):
        path = f"/v1/tenants/{tenant}/keys/{key.version}/retire"
        try:
            state = client.request("POST", path, type=KeyVersion).state
        except ApiError as error:
            if error.code != "conflict":
                raise
            needed.append(error.message)
        else:
            done.append(Retirement(tenant, key.version, state, ""))
    if needed:
        raise Refused(
            f"Not all versions of {tenant}'s key could be retired.", why=" ".join(needed),
            todo="Changes and answers are gone a day after the rotation, snapshots in minutes, backups with"
            " their retention (cortexctl key ledger). Repeat it then, or leave it to the nodes.",
        )  # fmt: skip
    return done


def verify(regions: dict[str, Callable[[], Client]], tenant: str) -> tuple[list[Verified], list[str]]:
    """Return what each region opened of each version, and what is wrong, in words."""
    found: list[Verified] = []
    wrong: list[str] = []
    for region, connect in regions.items():
        try:
            with connect() as client:
                found += client.request("GET", f"/v1/tenants/{tenant}/keys/verify", type=list[Verified])
        except ClientError as error:
            wrong.append(f"{tenant}: region {region} does not answer ({error})")
    for one in found:
        if one.state != "DESTROYED" and not one.check_value:
            wrong.append(f"{tenant}: {one.region} does not open version {one.version}")
        if one.opened < one.tried:
            shut = one.tried - one.opened
            wrong.append(
                f"{tenant}: {shut} of {one.tried} rows of version {one.version} shut in {one.region}"
            )
    return found, wrong


def await_reencryption(client: Client, tenant: str, *, told: Callable[[str], None]) -> None:
    """Return when no row of a tenant is under an older version. Raises ObjectiveMissed and ClientError."""
    begun = time.monotonic()
    next_told = begun
    while left := _rows_under_older(client, tenant):
        if (now := time.monotonic()) >= next_told:
            told(f"{tenant}: {left} rows are under an older version.")
            next_told = now + TOLD_EVERY
        if now - begun > REENCRYPTION_PATIENCE:
            raise ObjectiveMissed(
                f"{left} rows of {tenant} are still under an older version.",
                why=f"It was waited for {REENCRYPTION_PATIENCE:.0f} s.",
                todo="Look at cortexctl status and cortexctl key verify; a damaged row is not re-encrypted.",
            )
        time.sleep(POLL)
    told(f"{tenant}: all rows are under the new version.")


def _rows_under_older(client: Client, tenant: str) -> int:
    return sum(key.rows for key in versions(client, tenant) if key.state != "ACTIVE")


def _retirable(client: Client, tenant: str, version: int | None) -> list[KeyVersion]:
    known = versions(client, tenant)
    if version is None:
        return [key for key in known if key.state in ("DECRYPT_ONLY", "RETIRING")]
    if version not in [key.version for key in known]:
        raise Refused(
            f"There is no version {version} of {tenant}'s key.", todo=f"See cortexctl key list {tenant}."
        )
    return [key for key in known if key.version == version]
