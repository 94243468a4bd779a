"""Waiting for a rollout: done, stuck, given up."""

from __future__ import annotations

from itertools import count

import pytest

from cortexctl.errors import ObjectiveMissed
from cortexctl.platforms.kubernetes import rollout
from cortexctl.platforms.kubernetes.api import Cluster
from unit.kubernetes import objects
from unit.kubernetes.apiserver import ApiServer
from unit.kubernetes.objects import DEPLOYMENT, PODS, STATEFULSET


def test_it_is_waited_for(server: ApiServer, cluster: Cluster) -> None:
    server.put(STATEFULSET, objects.statefulset(updated=1, ready=1))
    times = count()

    def progress(_: object) -> None:
        if next(times) == 1:
            server.put(STATEFULSET, objects.statefulset())

    server.faults["GET", STATEFULSET] = progress
    told: list[str] = []
    done = rollout.wait(cluster, "statefulset", "node", seconds=30, told=told.append)
    assert (done.wanted, done.updated, done.ready, done.done) == (2, 2, 2, True)
    assert told == [
        "statefulset node: 1 of 2 are new, 1 are ready",
        "statefulset node: 2 of 2 are new, 2 are ready",
    ]


@pytest.mark.parametrize(
    "state",
    [
        objects.statefulset(seen=1),  # what is wanted has not been looked at yet
        objects.statefulset(updated=1),
        objects.statefulset(ready=1),
        objects.statefulset(wanted=3),
    ],
)
def test_what_is_not_done(server: ApiServer, cluster: Cluster, state: objects.Object) -> None:
    server.put(STATEFULSET, state)
    assert not rollout.status(cluster, "statefulset", "node").done


def test_a_deployment_is_done_when_no_old_pod_is_left(server: ApiServer, cluster: Cluster) -> None:
    server.put(DEPLOYMENT, objects.deployment(total=3))
    assert not rollout.status(cluster, "deployment", "front").done
    server.put(DEPLOYMENT, objects.deployment())
    assert rollout.status(cluster, "deployment", "front").done


def test_an_image_that_is_not_there(server: ApiServer, cluster: Cluster) -> None:
    """The error has the pod, its reason and its events; a pod that is ready is not in it."""
    server.put(STATEFULSET, objects.statefulset(updated=1, ready=1))
    state = objects.waiting("ImagePullBackOff", "Back-off pulling image")
    server.put(f"{PODS}/node-0", objects.pod("node-0"))
    server.put(f"{PODS}/node-1", objects.pod("node-1", ready=False, state=state, phase="Pending"))
    server.put(f"{objects.EVENTS}/1", objects.event("1", "node-1", "Failed", "manifest unknown"))
    with pytest.raises(ObjectiveMissed, match="1 of 2 are new, 1 are ready after 1 s") as caught:
        rollout.wait(cluster, "statefulset", "node", seconds=1, told=lambda _: None)
    assert caught.value.why.splitlines() == [
        "node-1 is Pending: node waits: ImagePullBackOff (Back-off pulling image)",
        "  Failed: manifest unknown",
    ]


def test_a_container_that_ends_again_and_again(server: ApiServer, cluster: Cluster) -> None:
    """What it said is that of the run before."""
    server.put(STATEFULSET, objects.statefulset(ready=1))
    crashed = objects.pod("node-1", ready=False, state=objects.waiting("CrashLoopBackOff", ""), restarts=4)
    server.put(f"{PODS}/node-1", crashed)
    server.objects[f"{PODS}/node-1/log"] = '{"event": "not started", "why": "no role has query"}\n'
    with pytest.raises(ObjectiveMissed) as caught:
        rollout.wait(cluster, "statefulset", "node", seconds=1, told=lambda _: None)
    assert "node waits: CrashLoopBackOff" in caught.value.why
    assert "no role has query" in caught.value.why


def test_a_deployment_that_has_given_up_is_not_waited_for(server: ApiServer, cluster: Cluster) -> None:
    server.put(DEPLOYMENT, objects.deployment(updated=1, ready=1, reason="ProgressDeadlineExceeded"))
    with pytest.raises(ObjectiveMissed) as caught:
        rollout.wait(cluster, "deployment", "front", seconds=10_000, told=lambda _: None)
    assert "no pods" in caught.value.why
