"""The global database: who writes, who follows, and the switch from one to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cortexctl.errors import OutcomeUnknown, Refused
from cortexctl.platforms.aws.account import explained
from cortexctl.platforms.base import DatabaseMember

PATIENCE = 900.0  # Aurora's own bound for a planned switch is minutes
POLL = 5.0


def members(client: Any, name: str, regions: tuple[str, ...]) -> tuple[DatabaseMember, ...]:
    """Return a member for each region, as Aurora's global database `name` knows it. Raises Refused.

    Copies are asynchronous: none is a sync_standby.
    """
    known = _by_region(_describe(client, name))
    return tuple(_member(region, known.get(region)) for region in regions)


def switch(
    client: Any, name: str, to: str, *, data_loss: bool, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Have a region write, and return when it does: planned, or with `data_loss` at once.

    A planned switch waits until the region has everything. Raises Refused, OutcomeUnknown.
    """
    found = _by_region(_describe(client, name)).get(to)
    if found is None:
        raise Refused(
            f"{to} cannot take the database over.",
            why=f"The global database {name} has no cluster there.",
            todo="Name a region that status shows as a standby.",
        )
    how = {"AllowDataLoss": True} if data_loss else {"Switchover": True}
    with explained(f"Aurora does not switch to {to}", changes=True):
        client.failover_global_cluster(
            GlobalClusterIdentifier=name, TargetDbClusterIdentifier=found["DBClusterArn"], **how
        )
    _await(client, name, to, sleep)


def _await(client: Any, name: str, to: str, sleep: Callable[[float], None]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        known = _describe(client, name)
        if known.get("Status") == "available" and _by_region(known).get(to, {}).get("IsWriter"):
            return
        sleep(POLL)
    raise OutcomeUnknown(
        f"{to} does not write after {PATIENCE:g} s.",
        why=f"The global database {name} is {known.get('Status')}.",
        todo="Look at cortexctl status: the switch may be under way still.",
    )


def _describe(client: Any, name: str) -> dict[str, Any]:
    with explained(f"Aurora says nothing of the global database {name}"):
        pages = client.get_paginator("describe_global_clusters").paginate()
        found = [each for page in pages for each in page["GlobalClusters"]]
    for each in found:
        if each["GlobalClusterIdentifier"] == name:
            return dict(each)
    raise Refused(
        f"There is no global database {name}.",
        why="Another account, or it is not made yet.",
        todo="Check the credentials' account, or run cortexctl up first.",
    )


def _by_region(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    # arn:aws:rds:REGION:ACCOUNT:cluster:NAME
    return {each["DBClusterArn"].split(":")[3]: each for each in described["GlobalClusterMembers"]}


def _member(region: str, found: dict[str, Any] | None) -> DatabaseMember:
    if found is None:
        return DatabaseMember(region, "absent", "unknown", None, None)
    state = found.get("SynchronizationStatus", "running")
    return DatabaseMember(region, "primary" if found["IsWriter"] else "standby", state, None, None)
