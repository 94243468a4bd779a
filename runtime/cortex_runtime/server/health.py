"""What a node says of itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cortex_runtime import __version__
from cortex_runtime.columns.kernels import chosen
from cortex_runtime.formats.messages import ConsolidationReport, HealthReport, SlotReport
from cortex_runtime.security.tokenkeys import believed

if TYPE_CHECKING:
    from cortex_runtime.server.service import Service


def report(service: Service, *, hashes: bool) -> HealthReport:
    """Return the node's report: degraded with its reasons when it lacks the primary or its own instance.

    A certificate that is about to expire is said, and is no reason yet; one that has is.

    Hashing takes up to a second at a million columns, and nothing else is done meanwhile.
    """
    replica = service.replica
    totals = replica.totals()
    identity = service.identity
    ailing = bool(replica.reasons()) or identity.expired
    return HealthReport(
        deployment=service.config.deployment,
        node=service.config.name,
        region=service.config.region,
        version=__version__,
        status="draining" if replica.draining else "degraded" if ailing else "healthy",
        reasons=[*replica.reasons(), *identity.warnings()],
        role="owner" if replica.owners else "replica",
        primary_region=replica.view.primary_region,
        owned=len(replica.owners),
        held=len(replica.slots),
        lag=replica.lag,
        columns=totals.columns,
        concepts=totals.concepts,
        relationships=totals.relationships,
        pending_relationships=totals.pending,
        queue=totals.queue,
        damaged_rows=sum(slot.damaged for slot in replica.slots.values()),
        consolidation=ConsolidationReport(
            backlog=totals.consolidation, done=service.metrics.consolidation.done,
            longest_slice=service.metrics.consolidation.longest,
        ),
        kernels=chosen().name,
        signing_key=service.token_keys.current().signing,
        token_keys=tuple(believed(service.token_keys, service.operator_keys)),
        uptime=time.monotonic() - service.started,
        slots=[
            SlotReport(
                slot=slot.number, owner=slot.number in replica.owners, position=service.position(slot),
                digest=slot.hash() if hashes else "",
            )
            for slot in replica.slots.values()
            if slot.seq
        ],
    )  # fmt: skip
