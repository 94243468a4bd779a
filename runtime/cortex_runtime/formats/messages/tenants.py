"""Tenants: quotas, API keys, where their people log in."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message, TenantName

TierName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$(?!\n)")]
RoleName = Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,31}$(?!\n)")]
Amount = Annotated[int, Meta(ge=0, lt=1 << 62)]


class Quota(Message, frozen=True, kw_only=True):
    """What a tenant may have: concepts, columns, bytes of entries; and ask, in requests a second."""

    concepts: Amount
    columns: Amount
    storage: Amount
    requests: Annotated[int, Meta(ge=1, lt=1 << 31)]


class Usage(Message, frozen=True, kw_only=True):
    """What a tenant has, of what its quota limits."""

    concepts: int
    columns: int
    storage: int


class OnboardRequest(Message, frozen=True, kw_only=True):
    """Make a tenant, or return the one that exists. Its key-encryption key is in the keyring already."""

    tenant: TenantName
    tier: TierName
    quota: Quota
    keyring_generation: Annotated[int, Meta(ge=1, lt=1 << 31)]


class QuotaRequest(Message, frozen=True, kw_only=True):
    """Give a tenant another tier and quota."""

    tier: TierName
    quota: Quota


class Tenant(Message, frozen=True, kw_only=True):
    """A tenant as operators see it."""

    tenant: str
    tier: str
    state: str
    created_at: str
    key_version: int | None
    legal_hold: bool
    usage: Usage
    quota: Quota


class OnboardResponse(Message, frozen=True, kw_only=True):
    """`api_key` is shown once, at creation alone."""

    tenant: Tenant
    created: bool
    api_key: str | None = None


class ApiKeyRequest(Message, frozen=True, kw_only=True):
    """Make an API key of a role; one that is `once` is good for one login."""

    role: RoleName = "admin"
    once: bool = False


class ApiKeyResponse(Message, frozen=True, kw_only=True):
    """A further API key of a tenant, shown once."""

    tenant: str
    api_key: str
    role: str
    once: bool


class ApiKey(Message, frozen=True, kw_only=True):
    """An API key without its secret. `used_at`: when one that is good for one login had it."""

    id: str
    role: str
    once: bool
    created_at: str
    used_at: str | None


class IdentityProvider(Message, frozen=True, kw_only=True):
    """Where a tenant's people log in by OpenID Connect. `roles` maps values of the claim to roles, in order.

    `ca` is the PEM of the CA of its TLS certificate, empty for the system's.
    """

    issuer: Annotated[str, Meta(pattern=r"^https://[^\s?#]{1,500}$(?!\n)")]
    client_id: Annotated[str, Meta(min_length=1, max_length=256)]
    role_claim: Annotated[str, Meta(min_length=1, max_length=64)]
    roles: Annotated[dict[str, RoleName], Meta(min_length=1, max_length=100)]
    ca: Annotated[str, Meta(max_length=65_536)] = ""


decoding.learn(globals())
