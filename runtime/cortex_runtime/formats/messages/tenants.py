"""Tenants and their API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message, TenantName


class OnboardRequest(Message, frozen=True, kw_only=True):
    """Make a tenant, or return the one that exists. Its key-encryption key is in the keyring already."""

    tenant: TenantName
    tier: Literal["free", "standard", "enterprise"] = "standard"
    keyring_generation: Annotated[int, Meta(ge=1, lt=1 << 31)]


class Tenant(Message, frozen=True, kw_only=True):
    """A tenant as operators see it."""

    tenant: str
    tier: str
    state: str
    created_at: str
    key_version: int
    concepts: int


class OnboardResponse(Message, frozen=True, kw_only=True):
    """`api_key` is shown once, at creation alone."""

    tenant: Tenant
    created: bool
    api_key: str | None = None


class ApiKeyResponse(Message, frozen=True, kw_only=True):
    """A further API key of a tenant, shown once."""

    tenant: str
    api_key: str


decoding.learn(globals())
