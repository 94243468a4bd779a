"""Checks of the rights of persons and tenants: access, portability, erasure, and leaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import Tenant
from cortexctl.compliance.finding import Bounds, Item
from cortexctl.compliance.roles import Role
from cortexctl.evidence import Kept


class RightBounds(Bounds, frozen=True, kw_only=True):
    """The permission of a right, and the path (METHOD /PATH) that serves it."""

    permission: str
    route: str


@dataclass(frozen=True, slots=True)
class Served:
    """What the service says that it serves (METHOD /PATH), and the roles of each region."""

    routes: frozenset[str]
    roles: Mapping[str, Mapping[str, Role]]


@dataclass(frozen=True, slots=True)
class Departures:
    """All tenants, and the receipts of those that have left."""

    tenants: list[Tenant]
    receipts: list[Kept]


def right(found: Served, bounds: RightBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """The right can be had: the service serves it, and in each region a role of tenants may ask for it."""
    items = [
        Item(
            subject=bounds.route, observed="served" if bounds.route in found.routes else "not served",
            bound="served", ok=bounds.route in found.routes,
        )
    ]  # fmt: skip
    for region, roles in found.roles.items():
        tenants = {name: role for name, role in roles.items() if role.audience == "tenant"}
        having = [name for name, role in tenants.items() if bounds.permission in role.permissions]
        items.append(
            Item(
                subject=f"{bounds.permission} in {region}", observed=", ".join(having) or "no role has it",
                bound="a role of tenants has it", ok=bool(having),
            )
        )  # fmt: skip
    return items


def receipts(found: Departures, bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Of each tenant that has left there is a signed receipt that says that nothing of it opens."""
    items, bound = [], "a signed receipt; nothing opens, nothing is left"
    for tenant in found.tenants:
        if tenant.state == "leaving":
            observed = "began to leave, and has not left"
            items.append(Item(subject=tenant.tenant, observed=observed, bound=bound, ok=False))
        elif tenant.state == "gone":
            items.append(_receipt(tenant.tenant, found.receipts, bound))
    return items


def _receipt(tenant: str, receipts: list[Kept], bound: str) -> Item:
    mine = [one for one in receipts if one.path.stem.startswith(f"offboarding-{tenant}-")]
    believed = [one for one in mine if one.statement and one.statement.predicate.get("tenant") == tenant]
    if not believed:
        observed = f"not to be believed: {mine[-1].trouble}" if mine else "there is no receipt"
        return Item(subject=tenant, observed=observed, bound=bound, ok=False)
    newest = believed[-1]
    assert newest.statement is not None
    receipt = newest.statement.predicate
    left = sum(count for parts in receipt["nodes"].values() for count in parts.values())
    opened = receipt["opened_versions"]
    return Item(
        subject=tenant,
        observed=f"left at {receipt['left_at']}; {opened} versions open, {left} rows left",
        bound=bound, ok=opened == 0 and left == 0, digest=newest.digest,
    )  # fmt: skip


decoding.learn(globals())
