"""API keys of tenants."""

from __future__ import annotations

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import ApiKey, ApiKeyRequest, ApiKeyResponse


def make_api_key(client: Client, tenant: str, *, role: str = "admin", once: bool = False) -> ApiKeyResponse:
    """Make another API key of a tenant. Raises ClientError."""
    request = ApiKeyRequest(role=role, once=once)
    return client.request("POST", f"/v1/tenants/{tenant}/api-keys", request, type=ApiKeyResponse)


def api_keys(client: Client, tenant: str) -> list[ApiKey]:
    """Return a tenant's API keys, without their secrets. Raises ClientError."""
    return client.request("GET", f"/v1/tenants/{tenant}/api-keys", type=list[ApiKey])


def revoke_api_key(client: Client, tenant: str, key: str) -> None:
    """Take an API key away, by its id. Raises ClientError."""
    client.request("DELETE", f"/v1/tenants/{tenant}/api-keys/{key}", type=dict)
