"""How much of the clients' traffic a region gets: the accelerator's dial, and Route 53's health check.

By DNS a region is either in or out: its records answer by who is nearest, and have no weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cortexctl.errors import Refused, UsageError
from cortexctl.platforms.aws.account import explained


def turn_dial(client: Any, name: str, region: str, percent: int) -> None:
    """Give a region so many percent of what the accelerator `name` would send it. Raises Refused."""
    with explained(f"The accelerator's dial of {region} is not turned", changes=True):
        groups = dict(_groups(client, name))
        if region not in groups:
            raise Refused(
                f"The accelerator {name} sends nothing to {region}.",
                why=f"It has {', '.join(sorted(groups)) or 'no region'}.",
                todo="Run cortexctl up first: its last step puts the regions behind the edge.",
            )
        client.update_endpoint_group(EndpointGroupArn=groups[region], TrafficDialPercentage=float(percent))


def answer_by_dns(client: Any, fqdn: str, *, percent: int) -> None:
    """Let Route 53 name the region with this host, or not: its check is held to be sick. Raises Refused."""
    check_percent(percent, weighted=False)
    with explained(f"Route 53 is not changed for {fqdn}", changes=True):
        pages = client.get_paginator("list_health_checks").paginate()
        checks = (each for page in pages for each in page["HealthChecks"])
        found = [
            each["Id"] for each in checks if each["HealthCheckConfig"].get("FullyQualifiedDomainName") == fqdn
        ]
        if not found:
            raise Refused(f"Route 53 has no health check of {fqdn}.", todo="Run cortexctl up first.")
        for check in found:
            # One that is disabled counts as healthy, and inverted as sick, whatever the region answers.
            client.update_health_check(HealthCheckId=check, Disabled=percent == 0, Inverted=percent == 0)


def check_percent(percent: int, *, weighted: bool) -> None:
    """Raise UsageError of a share that cannot be had."""
    if not 0 <= percent <= 100:
        raise UsageError(f"{percent} is no percentage.", todo="Say 0 to 100.")
    if not weighted and percent not in (0, 100):
        raise UsageError(
            f"Without an accelerator a region cannot have {percent} % of the traffic.",
            why="DNS answers by who is nearest: a region is in, or out.",
            todo="Say 0 or 100, or give the deployment its accelerator.",
        )


def _groups(client: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield region and ARN of each endpoint group of an accelerator."""
    for page in client.get_paginator("list_accelerators").paginate():
        for accelerator in page["Accelerators"]:
            if accelerator["Name"] == name:
                yield from _groups_of(client, accelerator["AcceleratorArn"])


def _groups_of(client: Any, arn: str) -> Iterator[tuple[str, str]]:
    for listeners in client.get_paginator("list_listeners").paginate(AcceleratorArn=arn):
        for listener in listeners["Listeners"]:
            pages = client.get_paginator("list_endpoint_groups").paginate(ListenerArn=listener["ListenerArn"])
            for page in pages:
                for group in page["EndpointGroups"]:
                    yield group["EndpointGroupRegion"], group["EndpointGroupArn"]
