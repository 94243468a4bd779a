"""Which region or node a drill ends."""

from __future__ import annotations

from cortexctl import health
from cortexctl.deployment import Deployment
from cortexctl.drill import nodes
from cortexctl.drill.scenario import Scenario
from cortexctl.errors import Refused, UsageError
from cortexctl.platforms.base import DatabaseMember


def check(deployment: Deployment, scenario: Scenario, region: str | None, node: str | None) -> str | None:
    """Return the target that was named for a drill, None when its scenario chooses. Raises UsageError."""
    if scenario.fault.kind == "kill-node":
        if region is not None:
            raise UsageError(f"{scenario.name} ends a node.", todo="Name it with --node, or leave it out.")
        names = [one.name for one in deployment.nodes]
        if node is not None and node not in names:
            raise UsageError(f"There is no node {node!r}.", todo=f"Name one of: {', '.join(names)}.")
        return node
    if node is not None:
        raise UsageError(f"{scenario.name} ends no node.", todo="Name a --region, or leave it out.")
    return None if region is None else deployment.region(region).name


def choose(deployment: Deployment, scenario: Scenario, members: tuple[DatabaseMember, ...], slot: int) -> str:
    """Return the target that a scenario means: `slot` is the one the canary writes to. Raises Refused."""
    if scenario.fault.target == "owner":
        name = nodes.owner_of(health.ask(deployment, deployment.nodes), slot)
    else:
        wanted = scenario.fault.target == "primary"
        name = next((one.region for one in members if (one.role == "primary") == wanted), None)
    if name is None:
        raise Refused(
            f"There is no {scenario.fault.target} to end.",
            why="The deployment has none at this moment.",
            todo="Look at cortexctl status.",
        )
    return name


def primary(members: tuple[DatabaseMember, ...]) -> str | None:
    """Return the region that holds the primary."""
    return next((member.region for member in members if member.role == "primary"), None)
