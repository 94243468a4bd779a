"""A tenant's key-encryption keys in AWS KMS: made, followed by a next one, and given up.

A version is a multi-Region key of its own with two tags that say whose it is: made in the first AWS region,
replicated to the others, and called by the same aliases everywhere. `owner` is the deployment's id. Each step
may be repeated: a call that was ended anywhere is finished by the next.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.kms import DEPLOYMENT_TAG, TENANT_TAG, alias, version_in

LEAST_DAYS, MOST_DAYS = 7, 30  # AWS' own bounds: nobody's key is gone sooner
REPLICATION_PATIENCE = 60.0
POLL = 0.5
CLOSED = ("PendingDeletion", "PendingReplicaDeletion")
Clients = dict[str, Any]  # boto3's clients of KMS by AWS region; keys are made in the first


@dataclass(frozen=True, slots=True)
class Closed:
    """A version of a key that wraps and unwraps nothing any more, and is gone at a time that AWS keeps."""

    region: str
    version: int
    key_id: str
    gone_at: datetime


def ensure_key(clients: Clients, owner: str, tenant: str) -> int:
    """Make the first version of a tenant's key unless there is one; return the newest version.

    What is missing of it in other regions is made too. Raises KeyringError when the name is another's.
    """
    return _use(clients, owner, tenant, newest(clients, owner, tenant) or 1)


def next_key(clients: Clients, owner: str, tenant: str) -> int:
    """Make the next version of a tenant's key, and have it wrap from now on. Raises KeyringError."""
    return _use(clients, owner, tenant, ensure_key(clients, owner, tenant) + 1)


def newest(clients: Clients, owner: str, tenant: str) -> int | None:
    """Return the version that wraps, None when there is none. Raises KeyringError."""
    client = next(iter(clients.values()))
    key_id = _find(client, owner, tenant, alias(owner, tenant))
    if key_id is None:
        return None
    listed = client.list_aliases(KeyId=key_id)["Aliases"]
    version = version_in([each["AliasName"] for each in listed], owner, tenant)
    if version is None:
        raise KeyringError(f"the KMS key of tenant {tenant} has no alias with its version")
    return version


def made_at(clients: Clients, owner: str, tenant: str) -> datetime | None:
    """Return when the version that wraps was made, None when there is none. Raises KeyringError."""
    client, name = next(iter(clients.values())), alias(owner, tenant)
    if _find(client, owner, tenant, name) is None:
        return None
    made: datetime = client.describe_key(KeyId=name)["KeyMetadata"]["CreationDate"]
    return made


def versions(client: Any, owner: str, tenant: str) -> list[int]:
    """Return the versions of a tenant's key in one region that AWS has not destroyed."""
    pages = client.get_paginator("list_aliases").paginate()
    names = (each["AliasName"] for page in pages for each in page["Aliases"])
    found = (version_in([name], owner, tenant) for name in names)
    return sorted(version for version in found if version is not None)


def close(clients: Clients, owner: str, tenant: str, *, days: int, but: Collection[int] = ()) -> list[Closed]:
    """Close a tenant's versions in every region at once; AWS destroys them in 7 to 30 days.

    Replicas come first: AWS counts the days of the first region's key from the end of the last of them.
    Raises ValueError for other days, and KeyringError when the name is another's.
    """
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise ValueError(f"KMS keeps a key for {LEAST_DAYS} to {MOST_DAYS} days, not {days}")
    closed: list[Closed] = []
    for region, client in reversed(clients.items()):
        for version in versions(client, owner, tenant):
            key_id = _find(client, owner, tenant, alias(owner, tenant, version))
            if version in but or key_id is None:
                continue
            ends = [each.gone_at for each in closed if each.version == version]
            closed.append(Closed(region, version, key_id, _close(client, key_id, days, ends)))
    return closed


def _close(client: Any, key_id: str, days: int, replicas: list[datetime]) -> datetime:
    """Close a key, and return when it is gone."""
    state = client.describe_key(KeyId=key_id)["KeyMetadata"]
    if state["KeyState"] not in CLOSED:
        client.disable_key(KeyId=key_id)
        client.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=days)
        state = client.describe_key(KeyId=key_id)["KeyMetadata"]
    gone_at: datetime = state.get("DeletionDate") or max(replicas) + timedelta(days=days)
    return gone_at.astimezone(UTC)


def _use(clients: Clients, owner: str, tenant: str, version: int) -> int:
    """Have a version everywhere, then wrap by it everywhere, in the first region last."""
    primary = next(iter(clients.values()))
    key_id = _find(primary, owner, tenant, alias(owner, tenant, version))
    if key_id is None:
        key_id = _make(primary, owner, tenant, version)
    for region, client in clients.items():
        if _find(client, owner, tenant, alias(owner, tenant, version)) is None:
            _replicate(primary, client, region, key_id)
            client.tag_resource(KeyId=key_id, Tags=_tags(owner, tenant))
            _name(client, alias(owner, tenant, version), key_id)
    for client in reversed(clients.values()):
        known = _find(client, owner, tenant, alias(owner, tenant))
        if known is None:
            _name(client, alias(owner, tenant), key_id)
        elif known != key_id:
            client.update_alias(AliasName=alias(owner, tenant), TargetKeyId=key_id)
    return version


def _make(client: Any, owner: str, tenant: str, version: int) -> str:
    made = client.create_key(
        Description=f"CortexKG: tenant {tenant} of deployment {owner}, version {version}",
        MultiRegion=True, Tags=_tags(owner, tenant),
    )["KeyMetadata"]["KeyId"]  # fmt: skip
    _name(client, alias(owner, tenant, version), made)
    return str(made)


def _name(client: Any, name: str, key_id: str) -> None:
    """Give a key an alias. One that was made by a call whose answer was lost is good."""
    try:
        client.create_alias(AliasName=name, TargetKeyId=key_id)
    except client.exceptions.AlreadyExistsException:
        if client.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] != key_id:
            raise


def _replicate(primary: Any, client: Any, region: str, key_id: str) -> None:
    """Return when a region has a key's replica that can be used. Raises KeyringError."""
    if _state(client, key_id) is None:
        primary.replicate_key(KeyId=key_id, ReplicaRegion=region)
    until = time.monotonic() + REPLICATION_PATIENCE
    while (state := _state(client, key_id)) != "Enabled":
        if time.monotonic() > until:
            raise KeyringError(f"the replica of the KMS key {key_id} in {region} is {state}")
        time.sleep(POLL)


def _state(client: Any, key_id: str) -> str | None:
    try:
        return str(client.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"])
    except client.exceptions.NotFoundException:
        return None


def _tags(owner: str, tenant: str) -> list[dict[str, str]]:
    tags = {DEPLOYMENT_TAG: owner, TENANT_TAG: tenant}
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def _find(client: Any, owner: str, tenant: str, name: str) -> str | None:
    """Return the id of the key of an alias, None when there is none. Raises KeyringError of another's."""
    try:
        key_id = str(client.describe_key(KeyId=name)["KeyMetadata"]["KeyId"])
    except client.exceptions.NotFoundException:
        return None
    tags = {tag["TagKey"]: tag["TagValue"] for tag in client.list_resource_tags(KeyId=key_id)["Tags"]}
    found = tags.get(DEPLOYMENT_TAG), tags.get(TENANT_TAG)
    if found != (owner, tenant):
        raise KeyringError(f"the KMS key {name} is of deployment {found[0]} and tenant {found[1]}")
    return key_id
