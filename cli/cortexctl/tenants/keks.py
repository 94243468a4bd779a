"""What keeps the key-encryption keys of a deployment's tenants: the keyrings of its regions, or AWS KMS."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cortexctl.deployment import Deployment
from cortexctl.tenants import keyrings
from cortexctl.tenants.keyrings import KeyringChange


class Keks(Protocol):
    """A module with these functions; all of them raise Refused."""

    def add_tenant(self, deployment: Deployment, tenant: str) -> KeyringChange:
        """Make a tenant's first key, unless it has one."""

    def destroy_tenant(self, deployment: Deployment, tenant: str) -> KeyringChange:
        """Destroy all keys of a tenant."""

    def next_key(self, deployment: Deployment, tenant: str) -> KeyringChange:
        """Make a tenant's next key, which wraps from now on."""

    def drop_keys(self, deployment: Deployment, tenant: str, kept: Collection[int]) -> KeyringChange:
        """Destroy a tenant's keys but for the newest and these versions."""

    def newest_version(self, deployment: Deployment, tenant: str) -> int:
        """Return the version that wraps."""

    def versions(self, deployment: Deployment, tenant: str) -> set[int]:
        """Return all versions that there are."""

    def made_at(self, deployment: Deployment, tenant: str) -> str | None:
        """Return when the version that wraps was made (ISO 8601), None when nobody knows."""

    def planned(self, deployment: Deployment, tenant: str) -> KeyringChange:
        """Return what add_tenant would do."""


def of(deployment: Deployment) -> Keks:
    """Return what keeps a deployment's key-encryption keys."""
    if deployment.kms is None:
        return keyrings
    from cortexctl.tenants import kmskeys  # noqa: PLC0415 - only what is used is imported

    return kmskeys
