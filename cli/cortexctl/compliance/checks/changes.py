"""Checks of changes: that what runs is what was approved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cortexctl.compliance.finding import Bounds, Item
from cortexctl.health import Health


def in_force(found: tuple[str, Mapping[str, str]], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Each region's roles are those of policies/rbac.yaml, by digest."""
    wanted, regions = found
    return [
        Item(
            subject=f"roles of {region}", observed=digest[:16], bound=wanted[:16], ok=digest == wanted,
            digest=digest,
        )
        for region, digest in regions.items()
    ]  # fmt: skip


def undrifted(found: Mapping[str, Mapping[str, str]], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Nothing would be changed to make the deployment what it is to be."""
    items = [
        Item(subject=f"{root}: {what}", observed=action, bound="no change", ok=False)
        for root, actions in found.items()
        for what, action in actions.items()
    ]
    return items or [Item(subject="the deployment", observed="no change", bound="no change", ok=True)]


def one_version(found: Health, bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """All nodes run one and the same version."""
    newest = max((node.version or "" for node in found.nodes), default="")
    return [
        Item(
            subject=f"node {node.name}", observed=node.version or "does not say", bound=newest or "a version",
            ok=bool(newest) and node.version == newest,
        )
        for node in found.nodes
    ]  # fmt: skip
