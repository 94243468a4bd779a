"""What the instances say of themselves and what the arbiter says of them, put together: pure logic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cortexctl.platforms.base import DatabaseMember

Role = Literal["primary", "sync_standby", "standby", "absent"]


def judge(own: Mapping[str, dict[str, Any] | None], cluster: Mapping[str, Any]) -> tuple[DatabaseMember, ...]:
    """Return all members, in the order of `own`.

    `own` has by region what GET /patroni of its Patroni answered, None when it did not: the arbiter lists a
    member for 20 s after its end. `cluster` is what GET /cluster of any answered.
    """
    listed = {member["name"]: member for member in cluster.get("members", ())}
    return tuple(_member(region, answer, listed.get(region, {})) for region, answer in own.items())


def _member(region: str, answer: dict[str, Any] | None, listed: Mapping[str, Any]) -> DatabaseMember:
    if answer is None:
        return DatabaseMember(region, "absent", "no answer", None, None)
    state = str(answer.get("replication_state") or answer.get("state") or "unknown")
    if answer.get("state") != "running":
        return DatabaseMember(region, "absent", state, None, None)
    role = _role(answer, listed)
    lag = 0 if role == "primary" else _number(listed.get("lag"))
    return DatabaseMember(region, role, state, _number(answer.get("timeline")), lag)


def _role(answer: Mapping[str, Any], listed: Mapping[str, Any]) -> Role:
    # Who has lost the leader's key in the arbiter is none, whatever it still says.
    if answer.get("role") in ("primary", "master"):
        return "primary" if listed.get("role") == "leader" else "standby"
    return "sync_standby" if listed.get("role") in ("sync_standby", "quorum_standby") else "standby"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
