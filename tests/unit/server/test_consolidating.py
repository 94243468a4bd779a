"""Consolidation by a real node: what it links, and what it says of it."""

from __future__ import annotations

import time
from typing import Any

from unit.server.node import TENANTS, Node

PATIENCE = 20.0
REST = 64  # operations for which a column rests


def put(id_: str, text: str) -> dict[str, Any]:
    return {"op": "put", "id": id_, "text": text}


def links_of(node: Node, cortex: str, id_: str) -> list[dict[str, Any]]:
    edges = node.ask("GET", f"concepts/{id_}", cortex=cortex)["relationships"]
    return [edge for edge in edges if edge["type"] == "near-duplicate"]


def test_near_duplicates_are_related_as_an_audited_write_and_nothing_spreads_over_it(node: Node) -> None:
    words = "alpha beta gamma delta epsilon zeta theta kappa lambda"
    alike = [put(f"alike-{number}", f"{words} own{number}") for number in range(3)]
    others = [put(f"other-{number}", f"filler{number} stuffing{number}") for number in range(2 * REST)]
    operations = [*others[:REST], *alike, *others[REST:]]
    node.ask("POST", "batch", {"operations": operations}, cortex="alike")
    query = {"text": "alpha own2", "k": 1, "hops": 2}
    before = node.ask("POST", "query", query, cortex="alike")
    until = time.monotonic() + PATIENCE
    while not (links := links_of(node, "alike", "alike-2")):
        assert time.monotonic() < until, node.log
        time.sleep(0.2)
    # It is the variant of the one that was most like it when it came: what is linked is the other one.
    assert len(links) == 1
    assert links[0]["target"] in ("alike-0", "alike-1")
    assert 0.6 <= links[0]["weight"] < 1
    assert links_of(node, "alike", "alike-0") == []
    assert node.ask("POST", "query", query, cortex="alike")["matches"] == before["matches"]
    events = node.operator("GET", "/v1/audit?action=consolidate")
    # The node is shared: what other tests have put may be consolidated meanwhile, too.
    assert {(each["actor"], each["result"]) for each in events} == {("node:eu-west-1", "done")}
    assert [each["tenant"] for each in events if each["resource"] == "alike"] == [TENANTS[0]]


def test_the_node_says_what_waits_and_what_was_done(node: Node) -> None:
    edges = [{"type": f"t{number}", "target": f"target{number}"} for number in range(1000)]
    for number in range(9):
        body = {"operations": [{**put("hub" + str(number), f"hub {number}"), "relationships": edges}]}
        node.ask("POST", "batch", body, cortex="merged")
    until = time.monotonic() + PATIENCE
    while (report := node.operator("GET", "/v1/health"))["consolidation"]["backlog"]:
        assert time.monotonic() < until, node.log
        time.sleep(0.2)
    assert report["kernels"] in ("numpy", "numba")
    assert report["consolidation"]["done"] > 9
    assert 0 < report["consolidation"]["longest_slice"] < 1
    metrics = node.metrics()
    assert "memory_consolidation_queue_size 0.0" in metrics
    assert "knowledge_graph_writes_waiting 0.0" in metrics
    assert "memory_consolidation_items_total" in metrics
    assert "memory_consolidation_slice_seconds_count" in metrics
