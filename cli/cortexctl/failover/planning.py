"""What a switch of the primary would do and lose, by what the arbiter says now: pure logic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortexctl.errors import Refused
from cortexctl.platforms.base import DatabaseMember


@dataclass(frozen=True, slots=True)
class Plan:
    """A switch. `lag_bytes`: the log that the target lacks, None when nobody knows; `obstacles` forbid it."""

    primary: str | None
    target: str
    target_role: str
    lag_bytes: int | None
    forced: bool
    loses: str
    steps: tuple[str, ...]
    obstacles: tuple[str, ...]

    @property
    def nothing_to_do(self) -> bool:
        """The target holds the primary already."""
        return self.primary == self.target


def plan(members: Sequence[DatabaseMember], target: str, *, forced: bool, asynchronous: bool = False) -> Plan:
    """Return what switching to a region would do; `forced` accepts the loss of acknowledged writes.

    `asynchronous`: no region follows the primary synchronously; a planned switch waits until one has all.
    """
    member = next((one for one in members if one.region == target), None)
    role = member.role if member else "absent"
    primary = next((one.region for one in members if one.role == "primary"), None)
    follows = "sync_standby" if asynchronous and role == "standby" and not forced else role
    obstacles = [] if primary == target else _obstacles(primary, follows, target, forced=forced)
    lag = member.lag if member else None
    return Plan(
        primary=primary,
        target=target,
        target_role=role,
        lag_bytes=lag,
        forced=forced,
        loses=_loses(lag, forced=forced and primary != target),
        steps=(*_steps(primary, target, forced=forced), *(_better(members, target, lag) if forced else ())),
        obstacles=tuple(obstacles),
    )


def demand(planned: Plan) -> None:
    """Raise Refused when something forbids the switch."""
    if planned.obstacles:
        raise Refused(
            f"The primary cannot be switched to {planned.target}.",
            why=" ".join(planned.obstacles),
            todo="Look at cortexctl status; failover plan shows what would happen.",
        )


def _obstacles(primary: str | None, role: str, target: str, *, forced: bool) -> list[str]:
    found = []
    if role == "absent":
        found.append(f"The database of {target} does not answer.")
    if not forced and primary is not None and role == "standby":
        found.append(
            f"{target} does not follow the primary synchronously (yet): it may lack acknowledged writes."
        )
    if forced and primary is not None and role == "sync_standby":
        found.append(
            f"{target} has every acknowledged write: leave --accept-data-loss out, and nothing is lost."
        )
    if not forced and primary is None:
        found.append(
            "There is no primary to switch from. When nobody is promoted by itself, "
            "--accept-data-loss forces it and may lose acknowledged writes."
        )
    return found


def _better(members: Sequence[DatabaseMember], target: str, lag: int | None) -> tuple[str, ...]:
    """Return which other regions would lose less."""
    return tuple(
        f"{one.region} lacks only {one.lag:,} bytes of log: promoting it would lose less."
        for one in members
        if one.region != target
        and one.role in {"standby", "sync_standby"}
        and lag is not None
        and one.lag is not None
        and one.lag < lag
    )


def _loses(lag: int | None, *, forced: bool) -> str:
    if not forced:
        return "nothing"
    if lag is None:
        return "every acknowledged write that the region had not received: how many is unknown"
    return f"acknowledged writes in up to {lag:,} bytes of log that the region had not received"


def _steps(primary: str | None, target: str, *, forced: bool) -> tuple[str, ...]:
    if primary == target:
        return (f"{target} holds the primary already: nothing is done.",)
    if forced:
        return (
            f"{target} is promoted although it may lack acknowledged writes.",
            "Nodes take the slots over; writes go on when a second region follows it.",
            f"{primary or 'The former primary'} is rewound when it returns: what it alone had is lost.",
        )
    if primary is None:
        return ()
    return (
        f"The primary in {primary} stops when {target} has everything, and {target} is promoted.",
        "Writes wait some seconds meanwhile; nothing is lost.",
        f"{primary} follows as a standby. Nothing switches back by itself.",
    )
