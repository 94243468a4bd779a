"""Receipts of offboarding: what is signed of a leaving is also in the audit log, which another key signs."""

from __future__ import annotations

import msgspec

from cortex_runtime.formats.messages import AuditInclusion
from cortex_runtime.formats.statements import Statement
from cortexctl import audit
from cortexctl.errors import ObjectiveMissed

KIND = "offboarding"
LAST_STEP = "tenant.purge"  # the action whose last event is the end of a leaving


def check(statement: Statement, audit_key: bytes) -> audit.Proven:
    """Check that the audit log that this key signs has the leaving. Raises ObjectiveMissed."""
    try:
        proof = msgspec.convert(statement.predicate["proof"], AuditInclusion)
    except (KeyError, msgspec.ValidationError) as error:
        raise _not_proven(f"The receipt has no proof of inclusion: {error}") from error
    proven = audit.check_inclusion(proof, audit_key)
    tenant, event = statement.predicate.get("tenant"), proven.event
    if event is None or (event.action, event.result) != (LAST_STEP, "done"):
        raise _not_proven(f"Event {proof.event} is no end of a leaving.")
    if not proven.tenant == event.tenant == tenant:
        raise _not_proven(f"The receipt is of tenant {tenant!r}, the proof of {proven.tenant!r}.")
    return proven


def _not_proven(why: str) -> ObjectiveMissed:
    return ObjectiveMissed(
        "The leaving is not proven.", why=why, todo="Get the receipt, and the keys, from who made it."
    )
