"""How a tenant's keys are called in AWS KMS, and what binds what they wrap.

A version of a tenant's key-encryption key is a KMS key of its own with the alias `…/vN`; the alias without a
version is the newest. The tags say whose it is, since names with hyphens can be read in two ways.
"""

from __future__ import annotations

import re
from typing import Any

DEPLOYMENT_TAG, TENANT_TAG = "cortexkg:deployment", "cortexkg:tenant"
_VERSION = re.compile(r"/v([1-9][0-9]{0,8})\Z")


def session(credentials_file: str | None = None) -> Any:
    """Return a session of boto3: with the credentials of a file in AWS' form, else those that boto3 finds."""
    import boto3  # noqa: PLC0415 - it takes its time to load
    import botocore.session  # noqa: PLC0415

    core = botocore.session.Session()
    if credentials_file is not None:
        core.set_config_variable("credentials_file", credentials_file)
    return boto3.Session(botocore_session=core)


def alias(deployment: str, tenant: str, version: int | None = None) -> str:
    """Return the alias of a version of a tenant's key, of the newest unless one is named."""
    newest = f"alias/cortexkg-{deployment}-{tenant}"
    return newest if version is None else f"{newest}/v{version}"


def version_in(names: list[str], deployment: str, tenant: str) -> int | None:
    """Return the version that one of a key's aliases names."""
    for name in names:
        found = _VERSION.search(name)
        if found and name == alias(deployment, tenant, int(found[1])):
            return int(found[1])
    return None


def context(deployment: str, tenant: str, kind: str, version: int, kek_version: int) -> dict[str, str]:
    """Return the encryption context of a wrapped key: it decrypts with the same alone."""
    return {
        "cortexkg:deployment": deployment, "cortexkg:tenant": tenant, "cortexkg:kind": kind,
        "cortexkg:version": str(version), "cortexkg:kek": str(kek_version),
    }  # fmt: skip
