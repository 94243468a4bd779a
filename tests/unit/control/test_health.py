"""What is made of the answers of nodes, database and front doors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from cortex_runtime.formats.messages import ConsolidationReport, HealthReport
from cortexctl.certificates import Certificate, Found, worst
from cortexctl.deployment import Deployment, Node
from cortexctl.health import Answer, Health, judge
from cortexctl.platforms.base import DatabaseMember

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEPLOYMENT = Deployment(
    name="trial",
    id="trial-1",
    profile="standard",
    platform="local",
    first_port=20000,
    nodes_a_region={"eu-west": 2, "us-east": 2, "ap-south": 2},
    directory=Path("/nowhere"),
)
ROLES: tuple[Literal["primary", "sync_standby"], ...] = ("primary", "sync_standby", "sync_standby")
MEMBERS = tuple(
    DatabaseMember(region, role, "running", 1, 0)
    for region, role in zip(DEPLOYMENT.nodes_a_region, ROLES, strict=True)
)
OPEN = dict.fromkeys((DEPLOYMENT.edge_url, *(r.load_balancer_url for r in DEPLOYMENT.regions)), "")


def report(node: Node, status: Literal["healthy", "degraded", "draining"] = "healthy") -> HealthReport:
    reasons = [] if status == "healthy" else [f"it is {status}"]
    return HealthReport(
        deployment="trial", node=node.name, region=node.region, version="0.1.0", status=status,
        reasons=reasons, role="replica", primary_region="eu-west", owned=100, held=400, lag=0.0, columns=7,
        concepts=6, relationships=5, pending_relationships=0, queue=0,
        consolidation=ConsolidationReport(backlog=0, done=0, longest_slice=0.0),
        kernels="numpy", uptime=1.0, slots=[],
    )  # fmt: skip


ANSWERS = tuple(Answer(node, report(node)) for node in DEPLOYMENT.nodes)


def without(region: str) -> Health:
    """Return the health after the loss of a whole region, before another one is promoted."""
    members = tuple(m if m.region != region else replace(m, role="absent", state="unknown") for m in MEMBERS)
    answers = tuple(a if a.node.region != region else Answer(a.node, None, "refused") for a in ANSWERS)
    return judge(
        DEPLOYMENT, members, answers, OPEN | {DEPLOYMENT.region(region).load_balancer_url: "refused"}
    )


def test_all_is_well() -> None:
    health = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN)
    assert health.healthy
    assert health.reasons == ()
    assert health.durability == "global: two of three regions"
    assert health.ready == "6/6"
    assert [region.role for region in health.regions] == ["primary", "standby", "standby"]
    assert {node.status for node in health.nodes} == {"healthy"}


def test_the_document_has_the_documented_fields() -> None:
    document = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN).document()
    assert {"deployment", "healthy", "durability", "regions", "nodes"} <= set(document)
    assert {"name", "role", "status", "database", "load_balancer_url"} <= set(document["regions"][0])
    assert {"name", "region", "status", "slots", "lag", "columns"} <= set(document["nodes"][0])
    assert document["nodes"][0]["slots"] == 400
    assert msgspec.json.decode(msgspec.json.encode(document))["nodes"][5]["name"] == "ap-south-2"


def test_a_lost_node() -> None:
    answers = (*ANSWERS[:5], Answer(DEPLOYMENT.nodes[5], None, "connection refused"))
    health = judge(DEPLOYMENT, MEMBERS, answers, OPEN)
    assert not health.healthy
    assert health.nodes[5].status == "lost"
    assert health.nodes[5].slots is None
    assert [region.status for region in health.regions] == ["healthy", "healthy", "degraded"]
    assert "ap-south-2 is lost: connection refused" in health.reasons
    assert health.ready == "5/6"
    assert health.durability == "global: two of three regions"


@pytest.mark.parametrize("status", ["degraded", "draining"])
def test_a_node_that_is_not_healthy(status: Literal["degraded", "draining"]) -> None:
    answers = (Answer(DEPLOYMENT.nodes[0], report(DEPLOYMENT.nodes[0], status)), *ANSWERS[1:])
    health = judge(DEPLOYMENT, MEMBERS, answers, OPEN)
    assert not health.healthy
    assert health.nodes[0].status == status
    assert health.regions[0].status == "degraded"
    assert f"eu-west-1 is {status}: it is {status}" in health.reasons


def test_a_lost_region() -> None:
    health = without("us-east")
    assert [region.status for region in health.regions] == ["healthy", "lost", "healthy"]
    assert "us-east absent: the loss of another region stops writes" in health.durability
    assert not health.healthy


def test_no_primary() -> None:
    health = without("eu-west")
    assert "no primary: writes are refused" in health.durability
    assert {region.role for region in health.regions} == {"standby"}


def test_both_standbys_absent() -> None:
    members = (MEMBERS[0], *(replace(member, role="absent") for member in MEMBERS[1:]))
    health = judge(DEPLOYMENT, members, ANSWERS, OPEN)
    assert "us-east, ap-south absent: writes wait, nothing is acknowledged" in health.durability
    assert [region.status for region in health.regions] == ["healthy", "degraded", "degraded"]


def test_a_region_without_any_word_of_its_database() -> None:
    health = judge(DEPLOYMENT, MEMBERS[:2], ANSWERS, OPEN)
    assert health.regions[2].database.role == "absent"
    assert not health.healthy


def test_a_front_door_that_is_shut() -> None:
    health = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN | {DEPLOYMENT.edge_url: "timed out"})
    assert not health.healthy
    assert health.reasons == ("The edge does not answer: timed out",)
    door = DEPLOYMENT.regions[0].load_balancer_url
    health = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN | {door: "timed out"})
    assert health.regions[0].status == "degraded"


def certificate(days: float, *, place: str = "us-east", shown: str = "aa") -> Certificate:
    found = Found("aa", NOW + timedelta(days=days))
    return Certificate(
        place, "postgres", "database", Path("/x.pem"), timedelta(days=30), found,
        {"database": replace(found, serial=shown)}, NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("days", "state", "healthy", "warns"),
    [
        (31, "ok", True, False), (29, "due", True, False), (6, "expiring", True, True),
        (0.9, "expiring", False, False), (-0.1, "expired", False, False),
    ],
)  # fmt: skip
def test_the_end_of_a_certificate_is_seen_before_it_comes(
    days: float, state: str, healthy: bool, warns: bool
) -> None:
    found = certificate(days)
    assert found.state == state
    health = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN, (certificate(80), found))
    assert health.healthy is healthy
    assert any("postgres of us-east" in reason for reason in health.reasons) is not healthy
    assert any("postgres of us-east" in warning for warning in health.warnings) is warns
    assert worst((certificate(80), found)) == state


def test_a_listener_that_shows_another_certificate_than_its_file_is_told() -> None:
    found = certificate(80, shown="bb")
    assert found.stale == ("database",)
    health = judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN, (found,))
    assert health.warnings == ("database of us-east still shows an older certificate",)


def test_a_file_that_is_damaged_is_as_good_as_expired() -> None:
    found = replace(certificate(80), found=None)
    assert found.state == "expired"
    assert not judge(DEPLOYMENT, MEMBERS, ANSWERS, OPEN, (found,)).healthy


def test_what_is_shown_counts_when_it_ends_sooner_than_the_file() -> None:
    found = certificate(80)
    sooner = Found("bb", NOW - timedelta(days=1))
    assert replace(found, shown={"database": sooner}).state == "expired"
