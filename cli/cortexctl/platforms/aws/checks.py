"""What must hold of a deployment's keys and buckets, looked at in AWS itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cortexctl.platforms.aws.account import explained

PURPOSES = ("audit", "data", "logs", "secrets")  # of the keys that terraform/modules/keys makes
STORES = ("audit", "data")  # of the buckets of terraform/modules/objectstore
PUBLIC = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `fault` says what is wrong, empty when it is as it must be."""

    region: str
    what: str
    fault: str = ""


def keys(client: Any, deployment: str, region: str) -> Iterator[Check]:
    """Yield a check of each service key of a region: it is there, usable and rotated. Raises Refused."""
    for purpose in PURPOSES:
        alias = f"alias/cortexkg/{deployment}/{purpose}"
        with explained(f"KMS in {region} says nothing of {alias}"):
            yield Check(region, alias, _key_fault(client, alias))


def bucket(client: Any, name: str, region: str) -> Check:
    """Return a check of a bucket: it is there, private, versioned and encrypted. Raises Refused."""
    with explained(f"S3 in {region} says nothing of the bucket {name}"):
        return Check(region, name, _bucket_fault(client, name))


def _key_fault(client: Any, alias: str) -> str:
    try:
        key = client.describe_key(KeyId=alias)["KeyMetadata"]
    except client.exceptions.NotFoundException:
        return "it is missing"
    if key["KeyState"] != "Enabled":
        return f"it is {key['KeyState']}"
    # A copy is rotated with its primary key, and has no status of its own.
    replica = key.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType") == "REPLICA"
    if not replica and not client.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]:
        return "it is not rotated"
    return ""


def _bucket_fault(client: Any, name: str) -> str:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - it takes its time to load

    try:
        if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
            return "it keeps no versions"
        client.get_bucket_encryption(Bucket=name)
        access = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        faults = {
            "NoSuchBucket": "it is missing",
            "ServerSideEncryptionConfigurationNotFoundError": "it is not encrypted",
            "NoSuchPublicAccessBlockConfiguration": "it may be opened to the public",
        }
        if fault := faults.get(error.response["Error"]["Code"]):
            return fault
        raise
    return "" if all(access.get(each) for each in PUBLIC) else "it may be opened to the public"
