from __future__ import annotations

from typing import Any

import pytest

from cortexctl import failover
from cortexctl.errors import Refused
from cortexctl.platforms.base import DatabaseMember


def members(**roles: Any) -> tuple[DatabaseMember, ...]:
    return tuple(DatabaseMember(region, role, "running", 3, 4096) for region, role in roles.items())


def test_a_planned_switch_loses_nothing() -> None:
    planned = failover.plan(members(eu="primary", us="sync_standby"), "us", forced=False)
    failover.demand(planned)
    assert (planned.primary, planned.loses, planned.nothing_to_do) == ("eu", "nothing", False)


def test_the_primary_itself_needs_no_switch() -> None:
    planned = failover.plan(members(eu="primary", us="sync_standby"), "eu", forced=True)
    failover.demand(planned)
    assert planned.nothing_to_do
    assert planned.loses == "nothing"


@pytest.mark.parametrize(
    ("roles", "forced"),
    [
        ({"eu": "primary", "us": "absent"}, False),
        ({"eu": "absent", "us": "absent"}, True),
        ({"eu": "absent", "us": "standby"}, False),
        ({"eu": "primary", "us": "sync_standby"}, True),
        ({"eu": "primary", "us": "standby"}, False),
        ({"eu": "primary"}, False),
    ],
)
def test_what_cannot_or_need_not_be_is_refused(roles: dict[str, Any], forced: bool) -> None:
    with pytest.raises(Refused):
        failover.demand(failover.plan(members(**roles), "us", forced=forced))


def test_a_forced_one_says_what_it_loses() -> None:
    planned = failover.plan(members(eu="absent", us="standby"), "us", forced=True)
    failover.demand(planned)
    assert "4,096 bytes" in planned.loses
    unknown = (DatabaseMember("us", "standby", "running", None, None),)
    assert "unknown" in failover.plan(unknown, "us", forced=True).loses


def test_a_region_that_would_lose_less_is_named() -> None:
    standbys = tuple(
        DatabaseMember(name, "standby", "running", 3, lag) for name, lag in (("eu", 10), ("us", 20))
    )
    assert "eu lacks only 10 bytes" in failover.plan(standbys, "us", forced=True).steps[-1]
    assert not any("lacks only" in step for step in failover.plan(standbys, "eu", forced=True).steps)
