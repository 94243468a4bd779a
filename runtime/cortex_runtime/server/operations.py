"""Handlers of operators: health and metrics of this node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_runtime.formats.messages import encode
from cortex_runtime.server import health as reports

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service


async def health(service: Service, request: Request) -> bytes:
    """Return this node's report, with the hashes of its arrays when they are asked for."""
    return encode(reports.report(service, hashes=request.query.get("hashes") == "true"))


async def metrics(service: Service, request: Request) -> bytes:  # noqa: ARG001
    """Return this node's metrics."""
    return service.metrics.render()
