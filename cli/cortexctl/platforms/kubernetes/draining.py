"""Emptying a machine: nothing new comes to it, what is there goes as fast as disruption budgets let it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kubernetes import client

from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.platforms.kubernetes.api import Busy, Cluster, NotThere, ask, change

POLL = 0.5
MIRROR = "kubernetes.io/config.mirror"
FINISHED = ("Succeeded", "Failed")


def drain(cluster: Cluster, machine: str, *, seconds: float, told: Callable[[str], None]) -> tuple[str, ...]:
    """Evict all pods of a machine, of whatever namespace, and return their names when they are gone.

    Those of DaemonSets and of the machine itself stay. Nothing is changed when a pod is there that nobody
    would make anew (Refused). Raises ObjectiveMissed when some are left after `seconds`; the machine takes no
    pods from then on, until it is uncordoned, and repeating it goes on.
    """
    pods = _movable(cluster, machine)
    if alone := [_name(pod) for pod in pods if not pod.metadata.owner_references]:
        raise Refused(
            f"{machine} has pods that nobody would make anew elsewhere.", why=", ".join(alone),
            todo="Delete them first, if they are not needed.",
        )  # fmt: skip
    change(cluster.core.patch_node, machine, {"spec": {"unschedulable": True}})
    told(f"{machine} takes no new pods; {len(pods)} are to go")
    until = time.monotonic() + seconds
    left = {pod.metadata.uid: pod for pod in pods}
    asked: set[str] = set()
    held: dict[str, str] = {}
    while left and time.monotonic() < until:
        for uid in left.keys() - asked:
            if reason := _evict(cluster, left[uid]):
                held[uid] = reason
                continue
            held.pop(uid, None)
            asked.add(uid)
        left = {uid: pod for uid, pod in left.items() if not _is_gone(cluster, pod)}
        if left:
            time.sleep(POLL)
    if left:
        raise ObjectiveMissed(
            f"{len(left)} pods are left on {machine} after {seconds:.0f} s.",
            why="; ".join(f"{_name(pod)}: {held.get(uid, 'is still ending')}" for uid, pod in left.items()),
            todo=f"Repeat it, or undo it: kubectl uncordon {machine}.",
        )
    return tuple(_name(pod) for pod in pods)


def _movable(cluster: Cluster, machine: str) -> list[Any]:
    found = ask(cluster.core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={machine}").items
    return [pod for pod in found if not _stays(pod)]


def _stays(pod: Any) -> bool:
    owners = pod.metadata.owner_references or ()
    return (
        MIRROR in (pod.metadata.annotations or {})
        or any(owner.kind == "DaemonSet" and owner.controller for owner in owners)
        or pod.status.phase in FINISHED
    )


def _evict(cluster: Cluster, pod: Any) -> str:
    """Ask for a pod's eviction, and return why that is not to be now; empty when it was accepted."""
    meta = pod.metadata
    body = client.V1Eviction(
        api_version="policy/v1",
        kind="Eviction",
        metadata=client.V1ObjectMeta(name=meta.name, namespace=meta.namespace),
        delete_options=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=meta.uid)),
    )
    try:
        change(cluster.core.create_namespaced_pod_eviction, meta.name, meta.namespace, body)
    except Busy as error:
        return error.why
    except NotThere:
        pass
    return ""


def _is_gone(cluster: Cluster, pod: Any) -> bool:
    """Tell whether a pod is there no more: one of a StatefulSet comes back under the same name."""
    try:
        found = ask(cluster.core.read_namespaced_pod, pod.metadata.name, pod.metadata.namespace)
    except NotThere:
        return True
    return bool(found.metadata.uid != pod.metadata.uid)


def _name(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
