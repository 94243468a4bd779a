"""Making tenants, what operators see of them, and what they may have."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import OnboardRequest, OnboardResponse, Quota, QuotaRequest, Tenant
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import keks


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A tenant that exists now. `api_key` is there when this call made it."""

    tenant: Tenant
    created: bool
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What onboarding would do: make the tenant, make its key, and write which regions' keyrings."""

    tenant: str
    would_create: bool
    would_make_key: bool
    keyring_generation: int
    would_write: tuple[str, ...]


def onboard(client: Client, tenant: str, tier: str, quota: Quota, generation: int) -> Onboarded:
    """Make a tenant, or return the one that exists.

    Raises Refused when that one has another tier, and ClientError.
    """
    request = OnboardRequest(tenant=tenant, tier=tier, quota=quota, keyring_generation=generation)
    answer = client.request("POST", "/v1/tenants", request, type=OnboardResponse)
    if answer.tenant.tier != tier:
        raise Refused(
            f"Tenant {tenant!r} exists with tier {answer.tenant.tier}.",
            why=f"Onboarding does not change it to {tier}.",
            todo=f"Change it by cortexctl tenant quota {tenant} --tier {tier}.",
        )
    return Onboarded(answer.tenant, answer.created, answer.api_key)


def show(client: Client, tenant: str) -> Tenant:
    """Return a tenant. Raises ClientError."""
    return client.request("GET", f"/v1/tenants/{tenant}", type=Tenant)


def preview(deployment: Deployment, client: Client, tenant: str) -> Planned:
    """Return what onboarding would do. Raises Refused and ClientError."""
    change = keks.of(deployment).planned(deployment, tenant)
    exists = any(one.tenant == tenant for one in show_all(client))
    return Planned(tenant, not exists, change.changed, change.generation, change.written)


def show_all(client: Client) -> list[Tenant]:
    """Return all tenants. Raises ClientError."""
    return client.request("GET", "/v1/tenants", type=list[Tenant])


def set_quota(client: Client, tenant: str, tier: str, quota: Quota) -> Tenant:
    """Give a tenant another tier and quota. Raises ClientError."""
    request = QuotaRequest(tier=tier, quota=quota)
    return client.request("PUT", f"/v1/tenants/{tenant}/quota", request, type=Tenant)


def suspend(client: Client, tenant: str) -> Tenant:
    """Shut a tenant out. Raises ClientError."""
    return client.request("POST", f"/v1/tenants/{tenant}/suspend", type=Tenant)


def resume(client: Client, tenant: str) -> Tenant:
    """Let a suspended tenant in again. Raises ClientError."""
    return client.request("POST", f"/v1/tenants/{tenant}/resume", type=Tenant)
