"""A forwarder as a process of its own, which reads an export: what is killed in the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from cortex_runtime.formats.messages import AuditSegment, AuditTree
from cortexctl.audit.forwarding import forward, read


class ExportSource:
    """The log of an export, as the service gives it."""

    def __init__(self, directory: Path) -> None:
        lines = (directory / "segments.jsonl").read_bytes().splitlines()
        self.segments = [msgspec.json.decode(line, type=AuditSegment) for line in lines]

    def trees(self) -> list[AuditTree]:
        events = sum(segment.events for segment in self.segments)
        return [AuditTree(tenant="acme", size=len(self.segments), events=events, checkpoint="")]

    def page(self, tenant: str, first: int) -> list[AuditSegment]:
        return self.segments[first : first + 3]


if __name__ == "__main__":
    source = ExportSource(Path(sys.argv[2]))
    forward(read(Path(sys.argv[1])), source, "trial", follow=False, patience=20, told=print)
