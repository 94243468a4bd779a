"""The audit log."""

from __future__ import annotations

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class AuditEvent(Message, frozen=True, kw_only=True):
    """One entry of the audit log.

    `sequence` counts the events of its tenant's log from 0; an event that is not in the tree yet has none.
    """

    id: str
    sequence: int | None
    time: str
    tenant: str | None
    actor: str
    session: str | None
    ip: str
    user_agent: str
    action: str
    resource: str
    result: str
    reason: str | None
    request_id: str


decoding.learn(globals())
