"""Versions of data keys."""

from __future__ import annotations

from typing import Literal

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class KeyVersion(Message, frozen=True, kw_only=True):
    """A version of a tenant's data key. `proven` names the regions that opened its check value."""

    version: int
    state: Literal["PENDING", "ACTIVE", "DECRYPT_ONLY", "RETIRING", "DESTROYED"]
    kek_version: int
    created_at: str
    activated_at: str | None
    proven: list[str]
    concepts: int


decoding.learn(globals())
