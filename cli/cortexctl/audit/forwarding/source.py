"""Where the events come from: the service, checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import AuditEvent, AuditSegment, AuditTree
from cortexctl.audit import archive, verifying


class Source(Protocol):
    """Logs by tenant."""

    def trees(self) -> list[AuditTree]:
        """Return the heads of all logs. Raises ClientError."""

    def page(self, tenant: str, first: int) -> list[AuditSegment]:
        """Return some segments of a log from a leaf on. Raises ClientError."""


class ServiceSource:
    """The logs of a deployment. Safe to use from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def trees(self) -> list[AuditTree]:
        """Return the heads of all logs. Raises ClientError."""
        return archive.trees(self._client)

    def page(self, tenant: str, first: int) -> list[AuditSegment]:
        """Return some segments of a log from a leaf on. Raises ClientError."""
        return archive.page(self._client, tenant, first)


def events_of(segment: AuditSegment, tenant: str) -> Iterator[AuditEvent]:
    """Yield a segment's events, none when its content expired. Raises ObjectiveMissed when it was altered."""
    if segment.content is not None:
        for number, event in enumerate(verifying.opened(segment, tenant)):
            yield AuditEvent.of(event, segment.id, number, segment.first_event)
