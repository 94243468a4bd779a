"""What is looked at when all is back: the canary's writes, and whether the nodes agree."""

from __future__ import annotations

import time

from cortex_runtime.client import Client, ClientError
from cortexctl import access, health, tenants
from cortexctl.deployment import Deployment
from cortexctl.drill import nodes, tenancy, verification, waiting
from cortexctl.drill.history import Findings, History
from cortexctl.drill.timeline import Timeline


def verify(
    deployment: Deployment, history: History, door: Client, doors: dict[str, Client], timeline: Timeline
) -> Findings:
    """Read every acknowledged write back, and look for ghosts on every node. Raises ClientError.

    Nodes that do not answer are no nodes to look on: they are told as disagreements.
    """
    answers = health.ask(deployment, deployment.nodes, hashes=True)
    living = {one.node.name: doors[one.node.name] for one in answers if one.report is not None}
    timeline.add("verify", f"Reading {len(history.of('acknowledged'))} acknowledged writes back.")
    findings = verification.verify(history, door, living, tenancy.path)
    timeline.add("verify", f"{len(findings.missing)} are gone; {len(findings.ghosts)} ghosts.")
    return findings


def await_agreement(deployment: Deployment, seconds: float, timeline: Timeline) -> tuple[str, ...]:
    """Wait until all nodes have the same position and arrays of each slot, and what is stored.

    Returns where they still differ.
    """
    began = time.monotonic()
    left: list[str] = []

    def agreed() -> bool:
        try:
            stored = sum(tenant.usage.concepts for tenant in tenants.show_all(operator))
        except ClientError as error:
            left[:] = [f"What is stored cannot be read: {error}"]
            return False
        answers = health.ask(deployment, deployment.nodes, hashes=True)
        left[:] = nodes.disagreements(answers) + nodes.miscounts(answers, stored)
        return not left

    with access.operator(deployment, deadline=0) as operator:
        done = waiting.until(agreed, seconds, waiting.SLOW_POLL)
    if done:
        timeline.add("verify", f"All nodes agree on every slot (after {time.monotonic() - began:.1f} s).")
    else:
        timeline.add("verify", f"The nodes differ: {'; '.join(left)}")
    return tuple(left)


def tidy(history: History, door: Client, timeline: Timeline) -> None:
    """Delete what the canary wrote, when that can be done."""
    try:
        verification.clean(history, door, tenancy.TENANT, tenancy.CORTEX)
    except ClientError as error:
        timeline.add("tidy", f"The canary's concepts stay: {error}")
