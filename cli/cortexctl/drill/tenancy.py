"""The canary's own tenant and cortex, and the ways to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cortex_runtime.client import ApiError, Client
from cortexctl import access, durable, tenants
from cortexctl.deployment import Deployment
from cortexctl.drill.canary import Canary
from cortexctl.drill.scenario import CanaryPlan

TENANT = "drill-canary"
CORTEX = "drill"
ATTEMPT_SECONDS = 2.0


def path(id_: str) -> str:
    """Return the path of one of the canary's concepts."""
    return access.cortex_path(TENANT, CORTEX, "concepts", id_)


def prepare(deployment: Deployment) -> Callable[[], str]:
    """Onboard the canary's tenant when there is none; return what gives its tokens.

    Its API key is kept beside the reports, so that drills do not heap up keys. The caller holds the
    deployment's lock. Raises Refused and ClientError.
    """
    place = deployment.directory / "drills" / "canary.key"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with access.operator(deployment) as operator:
        key = _onboarded(deployment, operator) or _kept(place)
        if key is None or not _works(deployment, key):
            key = tenants.make_api_key(operator, TENANT, role="writer").api_key
    durable.write(place, key.encode())
    return access.token_source(deployment, TENANT, key)


def front_door(deployment: Deployment, token: Callable[[], str]) -> Client:
    """Return a client of the edge whose attempts end after two seconds."""
    return access.open_client(deployment, token=token, timeout=ATTEMPT_SECONDS)


def canary(deployment: Deployment, token: Callable[[], str], plan: CanaryPlan) -> Canary:
    """Return a canary that writes and reads through the edge as planned."""
    return Canary(
        lambda: front_door(deployment, token),
        TENANT,
        CORTEX,
        writers=plan.writers,
        rate=plan.rounds_per_second,
    )


def node_doors(deployment: Deployment, token: Callable[[], str]) -> dict[str, Client]:
    """Return a client of every node's own listener."""
    return {
        node.name: access.open_client(
            deployment,
            token=token,
            url=f"https://{node.address}",
            certificate=deployment.operator_certificate,
        )
        for node in deployment.nodes
    }


def _onboarded(deployment: Deployment, operator: Client) -> str | None:
    change = tenants.keeper_of(deployment).add_tenant(deployment, TENANT)
    return tenants.onboard(
        operator, TENANT, "standard", tenants.quota_of("standard"), change.generation
    ).api_key


def _kept(place: Path) -> str | None:
    try:
        return place.read_text().strip() or None
    except FileNotFoundError:
        return None


def _works(deployment: Deployment, key: str) -> bool:
    with access.open_client(deployment) as client:
        try:
            access.log_in(client, TENANT, key)
        except ApiError as error:
            if error.code in {"unauthenticated", "invalid"}:
                return False
            raise
    return True
