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


class LoginResponse(Message, frozen=True, kw_only=True):
    """A bearer token, bound to the tenant. `expires_in` is in seconds."""

    token: str
    session: str
    expires_in: int


decoding.learn(globals())
