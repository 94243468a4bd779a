"""The audit log."""

from __future__ import annotations

from datetime import UTC, datetime

from cortex_runtime.formats import decoding
from cortex_runtime.formats.audit import Event
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

    @classmethod
    def of(cls, event: Event, segment: str, number: int, first: int | None) -> AuditEvent:
        """Return the `number`th event of a segment, whose first is the `first`th of the log."""
        moment = datetime.fromtimestamp(event.time / 1000, UTC).isoformat(timespec="milliseconds")
        return cls(
            id=f"{segment}.{number}", sequence=None if first is None else first + number,
            time=moment.replace("+00:00", "Z"), tenant=event.tenant or None, actor=event.actor,
            session=event.session, ip=event.ip, user_agent=event.user_agent, action=event.action,
            resource=event.resource, result=event.result, reason=event.reason, request_id=event.request_id,
        )  # fmt: skip


class AuditTree(Message, frozen=True, kw_only=True):
    """A tenant's log: its size in segments and in events, and the signed head of its tree.

    `tenant` is `-` for the log of what is of no tenant.
    """

    tenant: str
    size: int
    events: int
    checkpoint: str


class AuditSegment(Message, frozen=True, kw_only=True):
    """A leaf of a tree. `content` is its bytes, None when they have passed their retention."""

    id: str
    leaf: int
    first_event: int
    events: int
    hash: str
    content: bytes | None


class AuditInclusion(Message, frozen=True, kw_only=True, tag="inclusion"):
    """What proves that an event is in the tree that a checkpoint is the head of; hashes in hexadecimal."""

    event: str
    segment: AuditSegment
    hashes: list[str]
    checkpoint: str


class AuditConsistency(Message, frozen=True, kw_only=True, tag="consistency"):
    """What proves that the tree of a checkpoint has grown out of the one of `first` leaves."""

    first: int
    hashes: list[str]
    checkpoint: str


decoding.learn(globals())
