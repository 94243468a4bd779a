"""Verification of a deployment's logs as they are now: each is exported, and verified as an export is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cortex_runtime.client import Client
from cortexctl.audit import archive, verifying
from cortexctl.audit.verifying import Verified
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed


def verify_all(
    deployment: Deployment,
    client: Client,
    others: list[Path],
    *,
    retention: timedelta,
    told: Callable[[str], None],
) -> list[Verified]:
    """Verify every log, also against checkpoints that were kept. Raises ObjectiveMissed; ClientError."""
    key = archive.public_key(deployment)
    kept: dict[str, list[Path]] = {}
    for path in others:
        origin = verifying.read_checkpoint(path, key).origin
        kept.setdefault(origin.rpartition("/")[2], []).append(path)
    tenants = [tree.tenant for tree in archive.trees(client)]
    if missing := sorted(set(kept) - set(tenants)):
        raise ObjectiveMissed(
            "An audit log is gone.", why=f"There are checkpoints of {', '.join(missing)}, and no log.",
            todo="Keep the checkpoints, and look for the log in a backup.",
        )  # fmt: skip
    found = []
    with TemporaryDirectory() as work:
        for tenant in tenants:
            told(f"Verifying the log of {tenant}.")
            place = Path(work) / f"log-{tenant}"
            done = archive.export(deployment, client, tenant, place)
            for region in done.unreached:
                told(f"Region {region} does not answer; its anchors were not compared.")
            found.append(verifying.verify(place, key, kept.get(tenant), retention=retention))
    return found
