"""Objects as an API server answers them."""

from __future__ import annotations

import uuid
from typing import Any

NAMESPACE = "graph"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
STATEFULSET = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/node"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/front"
MACHINE = "/api/v1/nodes/machine-1"
AT = "2026-03-01T10:00:00Z"
LABELS = {"app": "node"}
Object = dict[str, Any]


def meta(name: str, **more: Any) -> Object:
    return {"name": name, "namespace": NAMESPACE, "uid": str(uuid.uuid4()), "generation": 2, **more}


def template() -> Object:
    return {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "node", "image": "registry/node@sha256:1"}]},
    }


def statefulset(*, wanted: int = 2, updated: int = 2, ready: int = 2, seen: int = 2) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": meta("node"),
        "spec": {"replicas": wanted, "serviceName": "node", "selector": {"matchLabels": LABELS},
                 "template": template()},
        "status": {"observedGeneration": seen, "replicas": wanted, "updatedReplicas": updated,
                   "readyReplicas": ready, "currentRevision": "a", "updateRevision": "b"},
    }  # fmt: skip


def deployment(
    *, wanted: int = 2, total: int = 2, updated: int = 2, ready: int = 2, reason: str = ""
) -> Object:
    conditions = [{"type": "Progressing", "status": "False", "reason": reason}] if reason else []
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("front"),
        "spec": {"replicas": wanted, "selector": {"matchLabels": LABELS}, "template": template()},
        "status": {"observedGeneration": 2, "replicas": total, "updatedReplicas": updated,
                   "readyReplicas": ready, "availableReplicas": ready, "conditions": conditions},
    }  # fmt: skip


def pod(
    name: str, *, ready: bool = True, state: Object | None = None, restarts: int = 0,
    owner: str = "StatefulSet", annotations: dict[str, str] | None = None, phase: str = "Running",
    machine: str = "machine-1",
) -> Object:  # fmt: skip
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": "node", "uid": "1", "controller": True}]
    container = {
        "name": "node", "image": "registry/node@sha256:1", "imageID": "", "ready": ready,
        "restartCount": restarts, "state": state or {"running": {"startedAt": AT}},
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, labels=LABELS, annotations=annotations or {},
                         ownerReferences=owners if owner else []),
        "spec": {"nodeName": machine, "containers": template()["spec"]["containers"]},
        "status": {"phase": phase, "containerStatuses": [container],
                   "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }  # fmt: skip


def waiting(reason: str, message: str) -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def event(name: str, about: str, reason: str, message: str, *, at: str = AT) -> Object:
    return {
        "apiVersion": "v1", "kind": "Event", "metadata": meta(name), "type": "Warning", "reason": reason,
        "message": message, "count": 3, "firstTimestamp": AT, "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": about, "namespace": NAMESPACE},
    }  # fmt: skip


def lease(name: str, holder: str) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta(name),
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 4,
                 "renewTime": "2026-03-01T10:00:00.000000Z"},
    }  # fmt: skip


def machine() -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "machine-1"}, "spec": {}}
