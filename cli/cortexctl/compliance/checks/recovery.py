"""Checks of recovery: drills, restores, backups, health and room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import KeptBackup, Tenant
from cortexctl.compliance.finding import Bounds, Item, age_in_days, is_within, told_age
from cortexctl.evidence import Kept
from cortexctl.health import Health


class DrillBounds(Bounds, frozen=True, kw_only=True):
    """The drills that must have passed, and within how many days."""

    drills: list[str]
    days: int


class RecentBounds(Bounds, frozen=True, kw_only=True):
    """Days that the newest of something may have."""

    days: float


class RoomBounds(Bounds, frozen=True, kw_only=True):
    """The part of its quota that a tenant may have used."""

    used: float


def drills(found: list[Kept], bounds: DrillBounds, now: datetime) -> list[Item]:
    """The newest of each drill has passed, lately enough, and what says so is signed."""
    newest = {name: one for name in bounds.drills for one in found if _is_of(one, name)}
    items = []
    for name in bounds.drills:
        one, bound = newest.get(name), f"passed, signed, within {bounds.days} days"
        if one is None:
            items.append(
                Item(
                    subject=f"drill {name}", observed="there is no signed report of it", bound=bound, ok=False
                )
            )
            continue
        observed, ok = _judged(one, bounds.days, now)
        ok = ok and one.statement is not None and one.statement.predicate.get("drill") == name
        items.append(Item(subject=f"drill {name}", observed=observed, bound=bound, ok=ok, digest=one.digest))
    return items


def restore(found: list[Kept], bounds: RecentBounds, now: datetime) -> list[Item]:
    """A backup was restored, lately enough, and what says so is signed."""
    bound = f"passed, signed, within {bounds.days:g} days"
    if not found:
        why = "no restore is on record; this version has no command that restores a backup"
        return [Item(subject="last restore", observed=why, bound=bound, ok=False)]
    observed, ok = _judged(found[-1], bounds.days, now)
    return [Item(subject="last restore", observed=observed, bound=bound, ok=ok, digest=found[-1].digest)]


def backups(found: Sequence[KeptBackup], bounds: RecentBounds, now: datetime) -> list[Item]:
    """The newest backup that is kept is young enough."""
    bound = f"at most {bounds.days:g} days old"
    if not found:
        return [Item(subject="newest backup", observed="no backup is registered", bound=bound, ok=False)]
    newest = max(found, key=lambda one: one.made_at)
    age = age_in_days(newest.made_at, now)
    observed = f"{newest.name}, {told_age(age)}"
    return [Item(subject="newest backup", observed=observed, bound=bound, ok=is_within(age, bounds.days))]


def healthy(found: Health, bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """All regions and nodes are healthy, and an acknowledged write is on as many regions as promised."""
    items = [
        Item(subject=f"node {one.name}", observed=one.status, bound="healthy", ok=one.status == "healthy")
        for one in found.nodes
    ]
    items += [
        Item(subject=f"region {one.name}", observed=one.status, bound="healthy", ok=one.status == "healthy")
        for one in found.regions
    ]
    overall = "; ".join(found.reasons) or found.durability
    return [*items, Item(subject="deployment", observed=overall, bound="healthy", ok=found.healthy)]


def room(found: list[Tenant], bounds: RoomBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """No tenant is close to the end of its quota."""
    items = []
    for one in found:
        parts = {part: _used(one, part) for part in one.usage.__struct_fields__}
        part, used = max(parts.items(), key=lambda each: each[1])
        items.append(
            Item(
                subject=f"tenant {one.tenant}", observed=f"{used:.1%} of its {part}",
                bound=f"at most {bounds.used:.0%}", ok=used <= bounds.used,
            )
        )  # fmt: skip
    return items


def _used(one: Tenant, part: str) -> float:
    has, may = getattr(one.usage, part), getattr(one.quota, part)
    return has / may if may else float(has > 0)


def _is_of(one: Kept, drill: str) -> bool:
    """Tell whether a statement is of a drill, by its file's name: one that is forged says nothing else."""
    return one.path.stem.removeprefix("drill-").partition("-")[2] == drill


def _judged(one: Kept, days: float, now: datetime) -> tuple[str, bool]:
    if one.statement is None:
        return f"{one.path.name} is not to be believed: {one.trouble}", False
    outcome = one.statement.predicate.get("outcome")
    age = age_in_days(str(one.statement.predicate.get("finished") or ""), now)
    return f"{outcome}, {told_age(age)}", outcome == "passed" and is_within(age, days)


decoding.learn(globals())
