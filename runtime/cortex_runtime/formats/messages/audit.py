"""The audit log."""

from __future__ import annotations

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class AuditEvent(Message, frozen=True, kw_only=True):
    """One entry of the audit log."""

    id: str
    sequence: int
    at: str
    tenant: str | None
    actor: str
    session: str | None
    address: str
    agent: str
    action: str
    resource: str
    result: str
    reason: str | None
    request_id: str


decoding.learn(globals())
