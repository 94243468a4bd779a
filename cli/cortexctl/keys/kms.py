"""A tenant's key-encryption keys in AWS KMS: made, followed by a next one, and given up.

A version is a KMS key of its own with two tags that say whose it is. `client` is boto3's of KMS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.kms import DEPLOYMENT_TAG, TENANT_TAG, alias, version_in

LEAST_DAYS, MOST_DAYS = 7, 30  # AWS' own bounds: nobody's key is gone sooner


@dataclass(frozen=True, slots=True)
class Closed:
    """A version of a key that wraps and unwraps nothing any more, and is gone at a time that AWS keeps."""

    version: int
    key_id: str
    gone_at: str


def ensure_key(client: Any, deployment: str, tenant: str) -> str:
    """Make the first version of a tenant's key unless there is one; return the newest's id.

    Repeated after a run that was ended it goes on. Raises KeyringError when the name is another's.
    """
    newest = _find(client, deployment, tenant, alias(deployment, tenant))
    if newest is None:
        first = _ensure_version(client, deployment, tenant, 1)
        client.create_alias(AliasName=alias(deployment, tenant), TargetKeyId=first)
        return first
    return newest


def next_key(client: Any, deployment: str, tenant: str) -> int:
    """Make the next version of a tenant's key, and have it wrap from now on. Raises KeyringError."""
    newest = ensure_key(client, deployment, tenant)
    version = _version_of(client, deployment, tenant, newest) + 1
    key_id = _ensure_version(client, deployment, tenant, version)
    client.update_alias(AliasName=alias(deployment, tenant), TargetKeyId=key_id)
    return version


def schedule_deletion(client: Any, deployment: str, tenant: str, *, days: int) -> list[Closed]:
    """Close all versions of a tenant's key at once; AWS destroys them in 7 to 30 days. May be repeated.

    Raises ValueError for other days, and KeyringError when the name is another's.
    """
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise ValueError(f"KMS keeps a key for {LEAST_DAYS} to {MOST_DAYS} days, not {days}")
    closed, version = [], 1
    while key_id := _find(client, deployment, tenant, alias(deployment, tenant, version)):
        state = client.describe_key(KeyId=key_id)["KeyMetadata"]
        if state["KeyState"] != "PendingDeletion":
            client.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=days)
            state = client.describe_key(KeyId=key_id)["KeyMetadata"]
        closed.append(Closed(version, key_id, state["DeletionDate"].isoformat(timespec="seconds")))
        version += 1
    return closed


def _ensure_version(client: Any, deployment: str, tenant: str, version: int) -> str:
    name = alias(deployment, tenant, version)
    known = _find(client, deployment, tenant, name)
    if known is not None:
        return known
    tags = [(DEPLOYMENT_TAG, deployment), (TENANT_TAG, tenant)]
    made = client.create_key(
        Description=f"CortexKG: tenant {tenant} of deployment {deployment}, version {version}",
        Tags=[{"TagKey": key, "TagValue": value} for key, value in tags],
    )["KeyMetadata"]["KeyId"]
    client.create_alias(AliasName=name, TargetKeyId=made)
    return str(made)


def _find(client: Any, deployment: str, tenant: str, name: str) -> str | None:
    """Return the id of the key of an alias, None when there is none. Raises KeyringError of another's."""
    try:
        key_id = str(client.describe_key(KeyId=name)["KeyMetadata"]["KeyId"])
    except client.exceptions.NotFoundException:
        return None
    tags = {tag["TagKey"]: tag["TagValue"] for tag in client.list_resource_tags(KeyId=key_id)["Tags"]}
    owner = tags.get(DEPLOYMENT_TAG), tags.get(TENANT_TAG)
    if owner != (deployment, tenant):
        raise KeyringError(f"the KMS key {name} is of deployment {owner[0]} and tenant {owner[1]}")
    return key_id


def _version_of(client: Any, deployment: str, tenant: str, key_id: str) -> int:
    names = [each["AliasName"] for each in client.list_aliases(KeyId=key_id)["Aliases"]]
    version = version_in(names, deployment, tenant)
    if version is None:
        raise KeyringError(f"the KMS key of tenant {tenant} has no alias with its version")
    return version
