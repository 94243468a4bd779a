from __future__ import annotations

from typing import Any

from cortex_runtime.formats.messages import ConsolidationReport, HealthReport, Position, SlotReport
from cortexctl.deployment import Node
from cortexctl.drill.nodes import disagreements, miscounts, owner_of
from cortexctl.health import Answer


def slot(*, owner: bool = False, token: int = 1, seq: int = 5, digest: str = "same") -> SlotReport:
    return SlotReport(slot=7, owner=owner, position=Position(slot=7, token=token, seq=seq), digest=digest)


def answer(name: str, region: str, *slots: SlotReport, status: Any = "healthy", held: int = 1) -> Answer:
    report = HealthReport(
        deployment="d", node=name, region=region, version="1", status=status, reasons=["why"], role="replica",
        primary_region="a", owned=0, held=held, lag=0.0, columns=1, concepts=1, relationships=0,
        pending_relationships=0, queue=0,
        consolidation=ConsolidationReport(backlog=0, done=0, longest_slice=0.0),
        kernels="numpy", uptime=1.0, slots=list(slots),
    )  # fmt: skip
    return Answer(Node(name, region, 1), report)


def test_nodes_that_agree_have_nothing_to_tell() -> None:
    answers = (answer("a1", "a", slot(owner=True)), answer("a2", "a", slot()), answer("b1", "b", slot()))
    assert disagreements(answers) == []
    assert owner_of(answers, 7) == "a1"
    assert owner_of(answers, 8) is None


def test_each_difference_is_told() -> None:
    owner = answer("a1", "a", slot(owner=True))
    for other in (slot(token=2), slot(seq=6), slot(digest="other")):
        assert len(disagreements((owner, answer("b1", "b", other)))) == 1


def test_a_replica_that_is_missing_is_told() -> None:
    (told,) = disagreements((answer("a1", "a", slot(owner=True)), answer("b1", "b")))
    assert "0 nodes of b" in told


def test_two_owners_or_none_are_told() -> None:
    for owners in ((True, True), (False, False)):
        pair = (answer("a1", "a", slot(owner=owners[0])), answer("b1", "b", slot(owner=owners[1])))
        assert len(disagreements(pair)) == 1


def test_a_silent_node_is_told() -> None:
    silent = Answer(Node("b1", "b", 1), None, "refused")
    answers = (answer("a1", "a", slot(owner=True)), silent)
    assert any("b1" in told for told in disagreements(answers))


def test_a_node_that_holds_all_has_what_is_stored() -> None:
    whole, part = answer("a1", "a", held=1024), answer("b1", "b", held=512)
    assert miscounts((whole, part), 1) == []
    (told,) = miscounts((whole, part), 2)
    assert "a1" in told
