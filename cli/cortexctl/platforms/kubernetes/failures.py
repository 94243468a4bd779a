"""Why pods are not ready: what they wait for, what happened to them, and what they said last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cortexctl.errors import CortexctlError
from cortexctl.platforms.kubernetes.api import Cluster, ask
from cortexctl.platforms.kubernetes.looking import events

SHOWN, EVENTS, LINES = 3, 3, 5


def describe(cluster: Cluster, labels: Mapping[str, str]) -> str:
    """Return that of the first pods with these labels that are not ready. Never raises for what it lacks."""
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    try:
        pods = ask(cluster.core.list_namespaced_pod, cluster.namespace, label_selector=selector).items
    except CortexctlError as error:
        return f"Its pods are not to be seen: {error.why}"
    if not pods:
        return "It has no pods: a quota, a policy or an admission webhook keeps them out; see its events."
    ailing = [pod for pod in pods if not is_ready(pod)]
    return "\n".join(line for pod in ailing[:SHOWN] for line in _lines(cluster, pod))


def is_ready(pod: Any) -> bool:
    """Tell whether a pod is ready."""
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _lines(cluster: Cluster, pod: Any) -> Iterator[str]:
    name = pod.metadata.name
    yield f"{name} is {pod.status.phase}: {'; '.join(_states(pod)) or 'no container has begun'}"
    try:
        for event in events(cluster, about=name)[-EVENTS:]:
            yield f"  {event.reason}: {event.message}"
    except CortexctlError as error:
        yield f"  (events are not to be seen: {error.why})"
    for state in pod.status.container_statuses or ():
        if state.restart_count or state.state.running:
            yield from _said(cluster, name, state)


def _states(pod: Any) -> Iterator[str]:
    for each in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
        if waiting := each.state.waiting:
            yield f"{each.name} waits: {waiting.reason}{f' ({waiting.message})' if waiting.message else ''}"
        elif ended := each.state.terminated or (each.last_state and each.last_state.terminated):
            yield f"{each.name} ended with {ended.exit_code} ({ended.reason})"
        elif not each.ready:
            yield f"{each.name} runs and is not ready"


def _said(cluster: Cluster, pod: str, state: Any) -> Iterator[str]:
    """What a container wrote last, of the run before when it was started again."""
    try:
        text = ask(
            cluster.core.read_namespaced_pod_log, pod, cluster.namespace, container=state.name,
            tail_lines=LINES, previous=state.state.running is None,
        )  # fmt: skip
    except CortexctlError:
        return  # it is gone, or never ran
    for line in str(text).splitlines()[-LINES:]:
        yield f"  {state.name}: {line}"
