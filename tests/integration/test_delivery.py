"""The two scripts that a pipeline holds a deployment against, on one that is well and on one that is not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cortexctl import credentials
from integration.running import ROOT, Running, frozen

EASY = ("--offer", "20", "--seconds", "2", "--read-p99", "9000", "--write-p99", "9000", "--rate", "1")


def check(script: str, *words: str, expect: int, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [ROOT / "scripts" / script, *words], env=os.environ | environment,
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture
def named(running: Running, tenant: str) -> dict[str, str]:
    """The environment that names the deployment, and a tenant of it."""
    return {"CORTEXCTL_DEPLOYMENT": running.deployment.name, "CORTEX_TENANT": tenant}


@pytest.fixture
def by_url(running: Running, tenant: str) -> dict[str, str]:
    """The environment that names the same by its front doors, as of a cluster elsewhere."""
    doors = [
        running.deployment.edge_url,
        *(region.load_balancer_url for region in running.deployment.regions),
    ]
    return {
        "CORTEXCTL_DEPLOYMENT": "not-here", "CORTEX_URLS": " ".join(doors), "CORTEX_TENANT": tenant,
        "CORTEX_CA": str(running.deployment.ca_certificate),
        "CORTEXCTL_API_KEY": credentials.api_key(running.deployment, tenant),
    }  # fmt: skip


def as_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return dict(json.loads(done.stdout))


def test_a_deployment_that_is_well(running: Running, named: dict[str, str], by_url: dict[str, str]) -> None:
    inside = as_json(check("health-check.sh", "--json", "--wait", "60", "--count", "2", expect=0, **named))
    assert inside["healthy_in_a_row"] == 2
    assert {node.name for node in running.deployment.nodes} <= set(inside["looked_at"])
    outside = as_json(check("health-check.sh", "--json", expect=0, **by_url))
    assert len(outside["looked_at"]) == 8  # four doors, and a canary through each
    with running.tenant(named["CORTEX_TENANT"]) as client:
        path = f"/v1/tenants/{named['CORTEX_TENANT']}/cortices/health/concepts/canary"
        assert client.request("GET", path, type=dict)["text"].startswith("canary ")


def test_its_figures(named: dict[str, str], by_url: dict[str, str], tmp_path: Path) -> None:
    found = as_json(check("performance-validation.sh", *EASY, "--json", expect=0, **named))["figures"]
    assert found["requests"] >= 30
    assert found["error_rate"] == 0
    assert found["read_p99_ms"] > 0
    assert found["write_p99_ms"] > 0
    check("performance-validation.sh", *EASY, "--error-rate", "0.5", expect=0, **by_url)
    missed = check("performance-validation.sh", *EASY, "--read-p99", "0.001", expect=3, **by_url)
    assert "read_p99_ms" in missed.stderr
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"figures": found | {"read_p99_ms": 0.001}}))
    slower = check("performance-validation.sh", *EASY, "--baseline", str(record), expect=3, **named)
    assert "its baseline" in slower.stderr


def test_a_deployment_with_a_node_that_does_not_answer(
    running: Running, named: dict[str, str], by_url: dict[str, str]
) -> None:
    node = running.deployment.nodes[0]
    place = running.deployment.region(node.region)
    try:
        with frozen(running.pid_of(node.name)):
            done = check("health-check.sh", "--json", expect=3, **named)
            assert f"{node.name} is lost" in done.stderr
            assert as_json(done)["healthy"] is False
            outside = check(
                "health-check.sh", expect=3, **(by_url | {"CORTEX_URLS": place.load_balancer_url})
            )
            assert place.load_balancer_url in outside.stderr
            check("health-check.sh", "--wait", "60", expect=7, **(named | {"CORTEX_LIMIT": "1"}))
    finally:
        running.healthy()


def test_a_call_that_is_off(named: dict[str, str], by_url: dict[str, str], tmp_path: Path) -> None:
    check("health-check.sh", "--count", "0", expect=2, **named)
    check("health-check.sh", expect=2, **(by_url | {"CORTEX_URLS": "http://127.0.0.1"}))
    check("health-check.sh", expect=2, **(by_url | {"CORTEX_CA": str(tmp_path / "none")}))
    check("health-check.sh", expect=5, **(named | {"CORTEXCTL_DEPLOYMENT": "not-here"}))
    check("performance-validation.sh", expect=2, **(named | {"CORTEX_TENANT": ""}))
    check("performance-validation.sh", "--baseline", "/dev/null", expect=2, **named)
    wrong = check("performance-validation.sh", *EASY, expect=5, **(named | {"CORTEXCTL_API_KEY": "ck_wrong"}))
    assert "unauthenticated" in wrong.stderr


def test_drift_is_told_by_its_code(running: Running) -> None:
    running.healthy()
    assert running.json("drift") == []
    node = running.deployment.nodes[0].name
    try:
        assert running.platform.kill_node(node).landed
        done = running.run("drift", "--output", "json", expect=4)
        assert [one["action"] for one in json.loads(done.stdout)] == ["replace"]
    finally:
        running.platform.start_node(node)
    running.healthy()
