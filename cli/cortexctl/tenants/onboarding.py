"""Making tenants, and what operators see of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import ApiKeyResponse, OnboardRequest, OnboardResponse, Tenant
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants.keyrings import planned

Tier = Literal["free", "standard", "enterprise"]


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


def onboard(client: Client, tenant: str, tier: Tier, generation: int) -> Onboarded:
    """Make a tenant, or return the one that exists.

    Raises Refused when that one has another tier, and ClientError.
    """
    request = OnboardRequest(tenant=tenant, tier=tier, keyring_generation=generation)
    answer = client.request("POST", "/v1/tenants", request, type=OnboardResponse)
    if answer.tenant.tier != tier:
        raise Refused(
            f"Tenant {tenant!r} exists with tier {answer.tenant.tier}.",
            why=f"Onboarding does not change it to {tier}.",
            todo=f"Repeat it with --tier {answer.tenant.tier}, or leave it.",
        )
    return Onboarded(answer.tenant, answer.created, answer.api_key)


def show(client: Client, tenant: str) -> Tenant:
    """Return a tenant. Raises ClientError."""
    return client.request("GET", f"/v1/tenants/{tenant}", type=Tenant)


def preview(deployment: Deployment, client: Client, tenant: str) -> Planned:
    """Return what onboarding would do. Raises Refused and ClientError."""
    change = planned(deployment, tenant)
    exists = any(one.tenant == tenant for one in show_all(client))
    return Planned(tenant, not exists, change.new_key, change.generation, change.written)


def show_all(client: Client) -> list[Tenant]:
    """Return all tenants. Raises ClientError."""
    return client.request("GET", "/v1/tenants", type=list[Tenant])


def further_api_key(client: Client, tenant: str) -> str:
    """Make another API key of a tenant. Raises ClientError."""
    return client.request("POST", f"/v1/tenants/{tenant}/api-keys", type=ApiKeyResponse).api_key
