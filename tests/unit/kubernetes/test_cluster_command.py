"""cortexctl cluster in a real subprocess: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unit.chart import charts
from unit.kubernetes import objects
from unit.kubernetes.apiserver import ApiServer, failure
from unit.kubernetes.objects import NAMESPACE, STATEFULSET

VALUES = charts.CHART / "ci" / "default-values.yaml"


def cortexctl(kubeconfig: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    place = ["--namespace", NAMESPACE, "--kubeconfig", str(kubeconfig)]
    return subprocess.run(
        [sys.executable, "-P", "-m", "cortexctl.main", "cluster", *place, *words],
        env=os.environ | ({"PATH": path} if path else {}), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_rollout(server: ApiServer) -> None:
    server.put(STATEFULSET, objects.statefulset())
    done = cortexctl(server.kubeconfig(), "rollout", "statefulset", "node", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ready"] == 2
    server.put(STATEFULSET, objects.statefulset(ready=1))
    done = cortexctl(server.kubeconfig(), "rollout", "statefulset", "node", "--timeout", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "what to do:" in done.stderr


@pytest.mark.parametrize(("status", "code"), [(403, 5), (500, 1)])
def test_exit_codes(server: ApiServer, status: int, code: int) -> None:
    server.faults["GET", STATEFULSET] = lambda _: failure(status, "No", "because")
    done = cortexctl(server.kubeconfig(), "rollout", "statefulset", "node")
    assert (done.returncode, done.stdout) == (code, "")
    assert "because" in done.stderr


def test_an_answer_that_is_lost(server: ApiServer) -> None:
    server.faults["PATCH", f"{STATEFULSET}/scale"] = lambda _: (0, None)
    assert cortexctl(server.kubeconfig(), "scale", "statefulset", "node", "5").returncode == 7


def test_words_that_are_off(server: ApiServer) -> None:
    for words in (["scale", "statefulset", "node", "101"], ["rollout", "daemonset", "x"], ["install", "x"],
        ["install", "x", "--chart", "no-such-chart", "-f", str(VALUES)],
        ["install", "x", "--chart", str(charts.CHART), "-f", "no-such-file"],
    ):  # fmt: skip
        assert cortexctl(server.kubeconfig(), *words).returncode == 2
    assert server.asked == []


def install(server: ApiServer, *words: str) -> subprocess.CompletedProcess[str]:
    words = ("install", "trial", "--chart", str(charts.CHART), "-f", str(VALUES), *words)
    return cortexctl(server.kubeconfig(), *words, path=str(charts.helm().parent))


def test_install_by_helm(server: ApiServer, tmp_path: Path) -> None:
    """Values that are off are refused before anything is made; so is whatever the cluster refuses."""
    server.objects |= {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    }
    bad = tmp_path / "bad.yaml"
    bad.write_text("node: {replicas: many}")
    done = install(server, "-f", str(bad))
    assert done.returncode == 2, done.stderr
    assert "at '/node/replicas': got string, want integer" in done.stderr
    assert {method for method, _, _ in server.asked} == {"GET"}
    done = install(server, "--timeout", "5")
    assert done.returncode == 3, done.stderr
    assert "what to do:" in done.stderr


def test_install_without_a_cluster_or_helm(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(token="expired")
    words = ("install", "trial", "--chart", str(charts.CHART), "-f", str(VALUES))
    done = cortexctl(kubeconfig, *words, path=str(charts.helm().parent))
    assert done.returncode == 5, done.stderr
    assert "does not let Helm in" in done.stderr
    done = cortexctl(kubeconfig, *words, path=str(tmp_path))
    assert done.returncode == 5
    assert "no helm on the PATH" in done.stderr
