"""Draining a machine: who goes, who stays, and what a disruption budget holds up."""

from __future__ import annotations

from itertools import count

import pytest

from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.platforms.kubernetes import draining
from cortexctl.platforms.kubernetes.api import Cluster
from cortexctl.platforms.kubernetes.draining import MIRROR
from unit.kubernetes import objects
from unit.kubernetes.apiserver import ApiServer, failure
from unit.kubernetes.objects import MACHINE, PODS

BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest.fixture(autouse=True)
def machine(server: ApiServer) -> objects.Object:
    return server.put(MACHINE, objects.machine())


def drain(cluster: Cluster, seconds: float = 30) -> tuple[str, ...]:
    return draining.drain(cluster, "machine-1", seconds=seconds, told=lambda _: None)


def test_what_can_go_goes(server: ApiServer, cluster: Cluster, machine: objects.Object) -> None:
    server.put(f"{PODS}/node-0", objects.pod("node-0"))
    server.put(f"{PODS}/elsewhere", objects.pod("elsewhere", machine="machine-2"))
    server.put(f"{PODS}/daemon", objects.pod("daemon", owner="DaemonSet"))
    server.put(f"{PODS}/static", objects.pod("static", owner="Node", annotations={MIRROR: "x"}))
    server.put(f"{PODS}/job", objects.pod("job", phase="Succeeded", owner=""))
    assert drain(cluster) == ("graph/node-0",)
    assert machine["spec"]["unschedulable"] is True
    left = sorted(path.rpartition("/")[2] for path in server.objects if path.startswith(PODS))
    assert left == ["daemon", "elsewhere", "job", "static"]


def test_a_budget_holds_it_up_until_it_does_not(server: ApiServer, cluster: Cluster) -> None:
    server.put(f"{PODS}/node-0", objects.pod("node-0"))
    times, path = count(), f"{PODS}/node-0/eviction"
    server.faults["POST", path] = lambda _: (
        failure(429, "TooManyRequests", BUDGET) if next(times) < 2 else None
    )
    assert drain(cluster) == ("graph/node-0",)
    assert server.count("POST", path) == 3


def test_a_budget_holds_it_up_for_too_long(server: ApiServer, cluster: Cluster) -> None:
    server.put(f"{PODS}/node-0", objects.pod("node-0"))
    server.put(f"{PODS}/node-1", objects.pod("node-1"))
    server.faults["POST", f"{PODS}/node-0/eviction"] = lambda _: failure(429, "TooManyRequests", BUDGET)
    with pytest.raises(ObjectiveMissed, match="1 pods are left on machine-1") as caught:
        drain(cluster, seconds=2)
    assert "graph/node-0: 429" in caught.value.why
    assert BUDGET in caught.value.why
    assert f"{PODS}/node-0" in server.objects
    assert f"{PODS}/node-1" not in server.objects


def test_a_pod_of_the_same_name_is_another(server: ApiServer, cluster: Cluster) -> None:
    """A StatefulSet makes it anew at once; that one is not asked to go, and not waited for."""
    server.put(f"{PODS}/node-0", objects.pod("node-0"))

    def again(_: object) -> tuple[int, object]:
        server.put(f"{PODS}/node-0", objects.pod("node-0", machine="machine-2"))
        return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    server.faults["POST", f"{PODS}/node-0/eviction"] = again
    assert drain(cluster) == ("graph/node-0",)
    assert server.count("POST", f"{PODS}/node-0/eviction") == 1


def test_a_pod_that_nobody_makes_anew_is_not_lost(
    server: ApiServer, cluster: Cluster, machine: objects.Object
) -> None:
    server.put(f"{PODS}/alone", objects.pod("alone", owner=""))
    with pytest.raises(Refused) as caught:
        drain(cluster)
    assert "graph/alone" in caught.value.why
    assert "unschedulable" not in machine["spec"]
