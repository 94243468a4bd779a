"""Checks of access: API keys, roles, operators' credentials, reviews, and row-level security."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import ApiKey, DatabaseEvidence
from cortexctl.compliance.finding import Bounds, Item, age_in_days, is_within, told_age
from cortexctl.compliance.roles import Role
from cortexctl.evidence import Kept


class ApiKeyBounds(Bounds, frozen=True, kw_only=True):
    """Days that an API key may have, and may be without any use."""

    days: int
    unused_days: int


class ReviewBounds(Bounds, frozen=True, kw_only=True):
    """Days after which who has access is to be reviewed again."""

    days: int


class TableBounds(Bounds, frozen=True, kw_only=True):
    """The tables of which requests may see one tenant's rows alone."""

    tables: list[str]


@dataclass(frozen=True, slots=True)
class UsedKey:
    """A tenant's API key, and when it was last used (ISO 8601); None: not lately."""

    tenant: str
    key: ApiKey
    used_at: str | None


@dataclass(frozen=True, slots=True)
class Credential:
    """A file that gives an operator's rights: its mode, and its key's age in days, None when it has none."""

    name: str
    mode: int
    is_ours: bool
    age: float | None


class CredentialBounds(Bounds, frozen=True, kw_only=True):
    """Days that the key of an operator's tokens may have."""

    days: int


def api_keys(found: list[UsedKey], bounds: ApiKeyBounds, now: datetime) -> list[Item]:
    """No API key is too old, and none is kept that nobody uses."""
    items = []
    for one in found:
        age = age_in_days(one.key.created_at, now)
        unused = age if one.used_at is None else age_in_days(one.used_at, now)
        idle = "not used since" if one.used_at is None else f"used {told_age(unused)[:-4]} ago"
        items.append(
            Item(
                subject=f"API key {one.key.id} of {one.tenant} ({one.key.role})",
                observed=f"{told_age(age)}, {idle}",
                bound=f"at most {bounds.days} days, used within {bounds.unused_days} days",
                ok=is_within(age, bounds.days) and is_within(unused, bounds.unused_days),
            )
        )
    return items


def review(found: list[Kept], bounds: ReviewBounds, now: datetime) -> list[Item]:
    """Somebody has reviewed who has access, lately enough, and has signed that."""
    bound = f"a signed review of the last {bounds.days} days"
    if not found:
        return [Item(subject="access review", observed="there is none", bound=bound, ok=False)]
    newest = found[-1]
    if newest.statement is None:
        observed, ok = f"{newest.path.name} is not to be believed: {newest.trouble}", False
    else:
        age = age_in_days(str(newest.statement.predicate["at"]), now)
        observed, ok = f"by {newest.statement.predicate['by']}, {told_age(age)}", is_within(age, bounds.days)
    return [Item(subject="access review", observed=observed, bound=bound, ok=ok, digest=newest.digest)]


def separated(found: Mapping[str, Mapping[str, Role]], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """In each region no role that runs the deployment has a permission of those that reach tenants' data."""
    items = []
    for region, roles in found.items():
        tenants = [role.permissions for role in roles.values() if role.audience == "tenant"]
        of_tenants = frozenset[str]().union(*tenants)
        for name, role in roles.items():
            if role.audience == "tenant":
                continue
            both = sorted(of_tenants & role.permissions)
            items.append(
                Item(
                    subject=f"role {name} in {region}",
                    observed=", ".join(both) or f"{len(role.permissions)} permissions, none of a tenant's",
                    bound="no permission of a tenant's roles",
                    ok=not both,
                )
            )
    return items


def credentials(found: list[Credential], bounds: CredentialBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """What gives an operator's rights is readable by its owner alone, and its keys are not too old."""
    return [
        Item(
            subject=one.name,
            observed=f"mode {one.mode:04o}, {'ours' if one.is_ours else 'of another user'}"
            + ("" if one.age is None else f", {told_age(one.age)}"),
            bound="for its owner alone" + ("" if one.age is None else f", at most {bounds.days} days"),
            ok=one.mode & 0o077 == 0 and one.is_ours and (one.age is None or is_within(one.age, bounds.days)),
        )
        for one in found
    ]


def row_security(found: DatabaseEvidence, bounds: TableBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Row-level security is on, binds everybody, and the role of the nodes cannot pass by it."""
    known = {one.table: one for one in found.tables}
    items = []
    for name in bounds.tables:
        table = known.get(name)
        if table is None:
            observed, ok = "there is no such table", False
        else:
            ok = table.enabled and table.forced and table.policies > 0
            observed = (
                f"{'on' if table.enabled else 'off'}, {'forced' if table.forced else 'not forced'}, "
                f"{table.policies} policies"
            )
        items.append(Item(subject=f"table {name}", observed=observed, bound="on, forced, a policy", ok=ok))
    role = found.role
    ways = {"superuser": role.superuser, "bypasses it": role.bypasses, "owner": role.owned}
    passes = [way for way, can in ways.items() if can]
    items.append(
        Item(
            subject=f"role {role.name}", observed=", ".join(passes) or "is bound by it",
            bound="neither superuser nor owner, bypasses nothing", ok=not passes,
        )
    )  # fmt: skip
    return items


decoding.learn(globals())
