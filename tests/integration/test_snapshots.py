"""A node that starts again takes its arrays from a snapshot and the log; a damaged one is passed over."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.client import Client
from cortex_runtime.formats.messages import BatchRequest, BatchResponse, Operation, PutOperation
from cortexctl.deployment import Node
from integration.running import Running, eventually, get, put

ENOUGH = 2_400  # concepts: a little more than a cortex has to have


def fill(client: Client, tenant: str) -> BatchResponse:
    answer = None
    for first in range(0, ENOUGH, 800):
        puts: list[Operation] = [
            PutOperation(
                id=f"c{n}", text=f"number {n} of those that a snapshot has, with words {n % 97} {n % 89}"
            )
            for n in range(first, first + 800)
        ]
        answer = client.request(
            "POST",
            f"/v1/tenants/{tenant}/cortices/main/batch",
            BatchRequest(operations=puts),
            type=BatchResponse,
        )
    assert answer is not None
    return answer


def log_of(running: Running, node: Node) -> list[dict[str, Any]]:
    path = Path(running.deployment.region(node.region).directory) / "log" / f"{node.name}.log"
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def loadings(running: Running, node: Node, slot: int) -> list[dict[str, Any]]:
    lines = [line for line in log_of(running, node) if line.get("slot") == slot]
    return [line for line in lines if line["event"] in ("slot loaded", "snapshot not used")]


def restart(running: Running, node: Node, number: signal.Signals) -> None:
    """End a node; its supervisor starts it again."""
    pid = running.pid_of(node.name)
    os.kill(pid, number)
    eventually(lambda: _assert_another(running, node, pid), patience=40)
    running.healthy()


def _assert_another(running: Running, node: Node, pid: int) -> None:
    try:
        assert running.pid_of(node.name) != pid
    except FileNotFoundError as ended:
        raise LookupError(node.name) from ended


def snapshots_of(running: Running, node: Node, tenant: str) -> list[Path]:
    region = Path(running.deployment.region(node.region).directory)
    return [
        path
        for directory in (region / "snapshots" / node.name, region / "objects")
        for path in sorted(directory.glob(f"{tenant}.main.*.snapshot"))
    ]


@pytest.mark.slow
def test_a_node_starts_from_a_snapshot_and_the_log_and_without_a_whole_one_from_the_tables(
    running: Running, tenant: str
) -> None:
    slot, node = slot_of(tenant, "main"), running.deployment.nodes[-1]
    with running.tenant(tenant) as client:
        fill(client, tenant)
        # In the directory, and in the object store: this node is its region's only one.
        eventually(lambda: _assert_count(running, node, tenant, 2), patience=60)
        for number in range(5):
            put(client, tenant, f"later{number}", f"put after the snapshot was written, number {number}")
        restart(running, node, signal.SIGKILL)
        (loaded,) = loadings(running, node, slot)[-1:]
        assert loaded["event"] == "slot loaded"
        (how,) = loaded["from_snapshots"]
        assert how.startswith(f"{tenant}.main.")
        assert int(how.split()[-2]) >= 5

        # An orderly end writes one of everything: nothing is left to repeat.
        restart(running, node, signal.SIGTERM)
        (how,) = loadings(running, node, slot)[-1]["from_snapshots"]
        assert how.endswith(" 0 changes")

        for path in snapshots_of(running, node, tenant):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        restart(running, node, signal.SIGKILL)
        *passed_over, loaded = loadings(running, node, slot)[-3:]
        assert {line["event"] for line in passed_over} == {"snapshot not used"}
        assert {line["why"] for line in passed_over} == {"the record does not open"}
        assert loaded["from_snapshots"] == []
        assert get(client, tenant, "later4").id == "later4"


def _assert_count(running: Running, node: Node, tenant: str, count: int) -> None:
    assert len(snapshots_of(running, node, tenant)) >= count
