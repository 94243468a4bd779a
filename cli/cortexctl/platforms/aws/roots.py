"""The roots of a deployment on AWS, and in which order they are made.

What a region needs to know of the others are outputs of their states, so that a new deployment is made in
stages: what exists once, the founding region, the others, all of them with all others known, and the edge.
A stage follows from the outputs that there are: one that was interrupted is the next run's first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortexctl.deployment import AwsPlace, Deployment
from cortexctl.terraform import Event, Root

GLOBAL = "global"
Outputs = Mapping[str, Mapping[str, Any]]  # by root


def every(deployment: Deployment, binary: Path, on_event: Callable[[Event], None]) -> dict[str, Root]:
    """Return the roots by name: the global one, and one a region."""
    place = _place(deployment)

    def one(name: str) -> Root:
        bucket = {"bucket": place.states, "region": place.states_region, "key": key(deployment.name, name)}
        # It is asked for once and kept nowhere: IAM lets nodes in.
        hidden = {"master_password": secrets.token_urlsafe(32)} if name == place.founder else {}
        stack = "aws/global" if name == GLOBAL else "aws/region"
        return Root(name, stack, deployment.directory / "terraform" / name, binary, on_event, bucket, hidden)

    return {name: one(name) for name in (GLOBAL, *place.regions)}


def key(deployment: str, root: str) -> str:
    """Return the name of a root's state in the bucket of states."""
    return f"{deployment}/{root}.tfstate"


def stage(deployment: Deployment, known: Outputs) -> tuple[str, ...]:
    """Return the roots that can be planned together, given the outputs that there are."""
    place = _place(deployment)
    if not {"edge_url", "global_cluster"} <= known.get(GLOBAL, {}).keys():
        return (GLOBAL,)
    if not _made(known, place.founder):
        return (place.founder,)
    missing = tuple(region for region in place.regions if not _made(known, region))
    return missing or (GLOBAL, *place.regions)


def variables(deployment: Deployment, root: str, known: Outputs) -> dict[str, Any]:
    """Return the variables of a root, given the outputs that there are."""
    place = _place(deployment)
    shared = {
        "deployment": deployment.name,
        "domain": place.domain,
        "founder": place.founder,
        "protected": place.protected,
        "recipients": place.recipients,
    }
    if root == GLOBAL:
        balancers = {
            region: known[region]["load_balancer"] for region in place.regions if _made(known, region)
        }
        every_one = balancers if len(balancers) == len(place.regions) else {}
        return {
            **shared, "zone_id": place.zone_id, "accelerator": place.accelerator, "load_balancers": every_one
        }  # fmt: skip
    others = [other for other in place.regions if other != root and _made(known, other)]
    return {
        **place.options,
        **shared,
        "region": root,
        "regions": place.regions,
        "zones": place.zones[root],
        "administrators": place.administrators,
        "peers": {other: known[other]["peer"] for other in others},
    }


def _made(known: Outputs, region: str) -> bool:
    return {"peer", "load_balancer"} <= known.get(region, {}).keys()


def _place(deployment: Deployment) -> AwsPlace:
    assert deployment.aws is not None
    return deployment.aws
