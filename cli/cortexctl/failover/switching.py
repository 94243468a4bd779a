"""The switch itself, and the wait for the first acknowledged write."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.client import ClientError
from cortex_runtime.formats.messages import BatchResponse, ConceptBody
from cortexctl.deployment import Deployment
from cortexctl.drill import tenancy
from cortexctl.errors import CortexctlError, OutcomeUnknown
from cortexctl.failover.planning import Plan
from cortexctl.platforms.base import Platform

PATIENCE = 120.0
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Switched:
    """A finished switch; `seconds` run from the order to the first write acknowledged by the new primary."""

    primary: str
    previous: str | None
    forced: bool
    changed: bool
    loses: str
    seconds: float


def run(deployment: Deployment, platform: Platform, planned: Plan, tell: Callable[[str], None]) -> Switched:
    """Switch, and wait until a write is acknowledged. The caller holds the deployment's lock.

    On AWS the switch has ended when Aurora says so, which waits for it: nobody writes from here.
    Raises Refused when the database does, OutcomeUnknown when no write is acknowledged within two minutes.
    """
    if planned.nothing_to_do:
        return _switched(planned, changed=False, seconds=0.0)
    if planned.primary is not None and deployment.aws is None:
        tenancy.prepare(deployment)
    began = time.monotonic()
    if planned.forced:
        platform.force_failover(planned.target)
    else:
        platform.switchover(planned.target)
    if deployment.aws is None:
        tell(f"{planned.target} was asked to take over; waiting for a write to be acknowledged.")
        _await_write(deployment, platform, planned.target, began + PATIENCE)
    return _switched(planned, changed=True, seconds=round(time.monotonic() - began, 3))


def _await_write(deployment: Deployment, platform: Platform, target: str, until: float) -> None:
    reason = ""
    while time.monotonic() < until:
        try:
            if _primary(platform) == target:
                _write(deployment)
                return
            reason = f"The primary is in {_primary(platform)}."
        except (ClientError, CortexctlError) as error:
            reason = str(error)
        time.sleep(PAUSE)
    raise OutcomeUnknown(
        f"No write was acknowledged by {target} within {PATIENCE:g} s.",
        why=reason,
        todo="Look at cortexctl status; the switch may still be under way.",
    )


def _write(deployment: Deployment) -> None:
    with tenancy.front_door(deployment, tenancy.prepare(deployment)) as client:
        id_ = f"failover-{uuid.uuid4().hex}"
        body = ConceptBody(text=f"probe {id_}")
        client.request("PUT", tenancy.path(id_), body, type=BatchResponse, deadline=0)
        client.request("DELETE", tenancy.path(id_), type=BatchResponse)


def _primary(platform: Platform) -> str | None:
    return next((member.region for member in platform.database() if member.role == "primary"), None)


def _switched(planned: Plan, *, changed: bool, seconds: float) -> Switched:
    loses = planned.loses if changed else "nothing"
    return Switched(planned.target, planned.primary, planned.forced and changed, changed, loses, seconds)
