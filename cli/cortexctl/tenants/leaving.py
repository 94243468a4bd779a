"""A tenant leaves: shut out, its keys destroyed in every region, its data removed, and a receipt of it all.

Each step may be repeated, and a run that was ended anywhere is finished by the next. The keys go before the
data, so that from then on no copy of the data, wherever it is, opens: not in a backup either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cortex_runtime.client import Client, ClientError
from cortex_runtime.formats.messages import (
    AuditInclusion,
    LegalHoldRequest,
    PurgeProgress,
    Residue,
    Tenant,
)
from cortex_runtime.formats.statements import Subject
from cortexctl import access, audit, credentials, evidence
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed
from cortexctl.evidence import receipts
from cortexctl.tenants import keks, onboarding
from cortexctl.tenants.keyrings import KeyringChange

PATIENCE = 90.0
POLL = 1.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done, and what every node said afterwards: of what it has, and of what still opens."""

    tenant: str
    deployment: str
    left_at: str
    concepts_before: int
    keyring_generation: int
    rows_removed: int
    nodes: dict[str, dict[str, int]]
    opened_versions: int
    keys: str
    proof: AuditInclusion
    backups: str = (
        "What they have of the tenant is sealed by keys that are destroyed; they end with their retention."
        " Who kept an older copy of a keyring, and has what opens it, can open them until then."
    )


def set_legal_hold(client: Client, tenant: str, *, held: bool) -> Tenant:
    """Hold a tenant's data against their destruction, or hold them no more. Raises ClientError."""
    path = f"/v1/tenants/{tenant}/legal-hold"
    return client.request("PUT", path, LegalHoldRequest(held=held), type=Tenant)


def offboard(
    deployment: Deployment, client: Client, tenant: str, *, told: Callable[[str], None] = lambda _: None
) -> tuple[Receipt, Path]:
    """Let a tenant leave. Returns the receipt and where it is kept, signed. The caller holds the lock.

    Raises Refused (a legal hold, a keyring that cannot be written), ObjectiveMissed when something is left
    somewhere or a node does not say so, and ClientError.
    """
    before = onboarding.show(client, tenant)
    client.request("POST", f"/v1/tenants/{tenant}/leave", type=Tenant)
    told(f"Tenant {tenant} is shut out.")
    change = keks.of(deployment).destroy_tenant(deployment, tenant)
    told(f"Its keys are {_end_of(change)}.")
    removed = 0
    while progress := client.request("POST", f"/v1/tenants/{tenant}/purge", type=PurgeProgress).removed:
        removed += progress
    told(f"{removed} rows are removed.")
    credentials.forget(deployment, tenant)
    nodes = _await_nothing_left(deployment, tenant)
    receipt = Receipt(
        tenant=tenant, deployment=deployment.id, left_at=datetime.now(UTC).isoformat(timespec="seconds"),
        concepts_before=before.usage.concepts, keyring_generation=change.generation, rows_removed=removed,
        nodes={each.node: each.parts for each in nodes}, opened_versions=sum(len(n.opens) for n in nodes),
        keys=_end_of(change),
        proof=_proof(client, tenant),
    )  # fmt: skip
    name = f"{tenant}-{receipt.left_at.replace(':', '').replace('+0000', 'Z')}"
    kept = evidence.keep(deployment, name, receipts.KIND, Subject(f"tenant/{tenant}", {}), asdict(receipt))
    return receipt, kept


def _proof(client: Client, tenant: str) -> AuditInclusion:
    """Return what proves that the audit log has the end of the leaving."""
    wanted = audit.Filter(tenant=tenant, action=receipts.LAST_STEP, result="done", limit=1)
    (event,) = audit.trail(client, wanted)
    return audit.inclusion(client, event.id)


def _end_of(change: KeyringChange) -> str:
    if change.gone_at is None:
        return f"destroyed in all regions (keyring generation {change.generation})"
    regions = ", ".join(change.written)
    return f"closed at once in AWS KMS ({regions}), which destroys the last of them on {change.gone_at}"


def _await_nothing_left(deployment: Deployment, tenant: str) -> list[Residue]:
    until = time.monotonic() + PATIENCE
    while True:
        found, silent = _residues(deployment, tenant)
        left = {n.node: _left(n) for n in found if _left(n)} | {node: ["no answer"] for node in silent}
        if not left:
            return found
        if time.monotonic() > until:
            raise ObjectiveMissed(
                f"Tenant {tenant!r} has left, but not everywhere.",
                why="; ".join(f"{node}: {', '.join(what)}" for node, what in left.items()),
                todo="See to it that all nodes are healthy (cortexctl status), then repeat it.",
            )
        time.sleep(POLL)


def _residues(deployment: Deployment, tenant: str) -> tuple[list[Residue], list[str]]:
    found, silent = [], []
    for node in deployment.nodes:
        url = f"https://{node.address}"
        try:
            with access.operator(deployment, url=url, timeout=5.0, deadline=5.0) as client:
                found.append(client.request("GET", f"/v1/tenants/{tenant}/residue", type=Residue))
        except ClientError:
            silent.append(node.name)
    return found, silent


def _left(residue: Residue) -> list[str]:
    """Return what a node still has, or can open, of a tenant that has left."""
    what = [f"{count} {part}" for part, count in residue.parts.items() if count]
    what += [f"version {version} opens" for version in residue.opens]
    return what if residue.state == "gone" else [*what, f"its database says {residue.state}"]
