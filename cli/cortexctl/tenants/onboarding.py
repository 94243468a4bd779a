"""Making tenants, and what operators see of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex_runtime.client import ApiError, Client
from cortex_runtime.formats.messages import ApiKeyResponse, OnboardRequest, OnboardResponse, Tenant
from cortexctl.errors import Refused

Tier = Literal["free", "standard", "enterprise"]


@dataclass(frozen=True, slots=True)
class Onboarded:
    """A tenant that exists now. `api_key` is there when this call made it."""

    tenant: Tenant
    created: bool
    api_key: str | None


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


def find(client: Client, tenant: str) -> Tenant | None:
    """Return a tenant, or None when there is none of this name. Raises ClientError."""
    try:
        return show(client, tenant)
    except ApiError as error:
        if error.code == "not_found":
            return None
        raise


def show_all(client: Client) -> list[Tenant]:
    """Return all tenants. Raises ClientError."""
    return client.request("GET", "/v1/tenants", type=list[Tenant])


def further_api_key(client: Client, tenant: str) -> str:
    """Make another API key of a tenant. Raises ClientError."""
    return client.request("POST", f"/v1/tenants/{tenant}/api-keys", type=ApiKeyResponse).api_key
