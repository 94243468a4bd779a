"""The machines of a region's Kubernetes: how many there are, and how many are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortexctl.errors import UsageError
from cortexctl.platforms.aws.account import explained

GROUP = "machines"  # its name in terraform/modules/cluster


@dataclass(frozen=True, slots=True)
class Machines:
    """A node group: its state as EKS says it (ACTIVE, UPDATING ...), and its numbers of machines."""

    region: str
    status: str
    least: int
    wanted: int
    most: int


def look(client: Any, cluster: str, region: str) -> Machines:
    """Return the machines of a region. Raises Refused."""
    with explained(f"EKS says nothing of the machines of {cluster} in {region}"):
        found = client.describe_nodegroup(clusterName=cluster, nodegroupName=GROUP)["nodegroup"]
    scaling = found["scalingConfig"]
    return Machines(region, found["status"], scaling["minSize"], scaling["desiredSize"], scaling["maxSize"])


def scale(client: Any, cluster: str, region: str, wanted: int) -> Machines:
    """Want so many machines, within the bounds that Terraform sets. Raises UsageError, Refused."""
    now = look(client, cluster, region)
    if not now.least <= wanted <= now.most:
        raise UsageError(
            f"{region} cannot have {wanted} machines.",
            why=f"Its group has {now.least} to {now.most}.",
            todo="Choose another number, or change machines in the settings and run cortexctl up.",
        )
    if wanted != now.wanted:
        with explained(f"EKS does not scale the machines of {region}", changes=True):
            client.update_nodegroup_config(
                clusterName=cluster,
                nodegroupName=GROUP,
                scalingConfig={"minSize": now.least, "desiredSize": wanted, "maxSize": now.most},
            )
    return Machines(region, now.status, now.least, wanted, now.most)
