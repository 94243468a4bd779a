"""Login and sessions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message, TenantName


class LoginRequest(Message, frozen=True, kw_only=True):
    """Exchange an API key for a token."""

    tenant: TenantName
    api_key: Annotated[str, Meta(min_length=8, max_length=256)]


class OidcLoginRequest(Message, frozen=True, kw_only=True):
    """Exchange an ID token of the tenant's identity provider for a token; it is good once."""

    tenant: TenantName
    id_token: Annotated[str, Meta(min_length=8, max_length=16_384)]
    nonce: Annotated[str, Meta(min_length=16, max_length=256)]


class LoginProvider(Message, frozen=True, kw_only=True):
    """Where a tenant's people log in: the provider's issuer, our client there, the PEM of its CA if any."""

    issuer: str
    client_id: str
    ca: str


class LoginResponse(Message, frozen=True, kw_only=True):
    """A bearer token, bound to tenant and session. `expires_in` is in seconds."""

    token: str
    session: str
    expires_in: int
    role: str


class Session(Message, frozen=True, kw_only=True):
    """The caller's session: since when, and how long its present token and itself are good (ISO 8601)."""

    session: str
    tenant: str
    subject: str
    role: str
    began_at: str
    token_until: str
    session_until: str


decoding.learn(globals())
