from __future__ import annotations

from cortexctl.platforms.base import DatabaseMember
from cortexctl.platforms.local.members import judge

CLUSTER = {
    "members": [
        {"name": "a", "role": "leader", "state": "running", "timeline": 4},
        {"name": "b", "role": "quorum_standby", "state": "streaming", "timeline": 4, "lag": 16},
        {"name": "c", "role": "replica", "state": "streaming", "timeline": 4, "lag": "unknown"},
    ]
}
PRIMARY = {"state": "running", "role": "primary", "timeline": 4}
STANDBY = {"state": "running", "role": "replica", "replication_state": "streaming", "timeline": 4}


def test_all_answer() -> None:
    assert judge({"a": PRIMARY, "b": STANDBY, "c": STANDBY}, CLUSTER) == (
        DatabaseMember("a", "primary", "running", 4, 0),
        DatabaseMember("b", "sync_standby", "streaming", 4, 16),
        DatabaseMember("c", "standby", "streaming", 4, None),
    )


def test_who_does_not_answer_is_absent_although_the_arbiter_still_lists_it() -> None:
    found = judge({"a": None, "b": STANDBY, "c": STANDBY}, CLUSTER)
    assert found[0] == DatabaseMember("a", "absent", "no answer", None, None)


def test_whose_database_does_not_run_is_absent() -> None:
    found = judge({"a": {"state": "stopped", "role": "replica"}}, CLUSTER)
    assert (found[0].role, found[0].state) == ("absent", "stopped")


def test_who_lost_the_leaders_key_is_no_primary() -> None:
    elsewhere = {"members": [{"name": "b", "role": "leader"}, {"name": "a", "role": "replica"}]}
    roles = [member.role for member in judge({"a": PRIMARY, "b": PRIMARY}, elsewhere)]
    assert roles == ["standby", "primary"]


def test_without_an_arbiter_nobody_is_primary() -> None:
    assert judge({"a": PRIMARY}, {})[0].role == "standby"
