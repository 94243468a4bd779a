"""How far a StatefulSet or Deployment is, waiting until it is done, and how many pods it is to have."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cortexctl.errors import ObjectiveMissed
from cortexctl.platforms.kubernetes import failures
from cortexctl.platforms.kubernetes.api import Cluster, ask, change

Kind = Literal["statefulset", "deployment"]
POLL = 0.5


@dataclass(frozen=True, slots=True)
class Rollout:
    """How many pods are wanted, how many are of the newest template, and how many of those are ready."""

    kind: Kind
    name: str
    wanted: int
    updated: int
    ready: int
    done: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.updated} of {self.wanted} are new, {self.ready} are ready"


def status(cluster: Cluster, kind: Kind, name: str) -> Rollout:
    """Return how far it is. Raises Refused."""
    return _rollout(kind, ask(_reader(cluster, kind), name, cluster.namespace))


def wait(cluster: Cluster, kind: Kind, name: str, *, seconds: float, told: Callable[[str], None]) -> Rollout:
    """Return when it is done; `told` gets a line for each step.

    Raises ObjectiveMissed with what its pods say when it is not done after `seconds`, or Refused.
    """
    until = time.monotonic() + seconds
    before = None
    while True:
        found = ask(_reader(cluster, kind), name, cluster.namespace)
        now = _rollout(kind, found)
        if now != before:
            told(str(now))
        if now.done:
            return now
        if time.monotonic() >= until or _has_given_up(found):
            raise ObjectiveMissed(
                f"{now} after {seconds:.0f} s.",
                why=failures.describe(cluster, found.spec.selector.match_labels),
                todo="Mend what its pods say; what was there before goes on serving until then.",
            )
        before = now
        time.sleep(POLL)


def scale(cluster: Cluster, kind: Kind, name: str, count: int) -> Rollout:
    """Have so many pods; an autoscaler that follows it changes the number again. Raises Refused."""
    patch = {"spec": {"replicas": count}}
    writer = {
        "statefulset": cluster.apps.patch_namespaced_stateful_set_scale,
        "deployment": cluster.apps.patch_namespaced_deployment_scale,
    }[kind]
    change(writer, name, cluster.namespace, patch)
    return status(cluster, kind, name)


def _reader(cluster: Cluster, kind: Kind) -> Callable[..., Any]:
    reader: Callable[..., Any] = {
        "statefulset": cluster.apps.read_namespaced_stateful_set,
        "deployment": cluster.apps.read_namespaced_deployment,
    }[kind]
    return reader


def _rollout(kind: Kind, found: Any) -> Rollout:
    """A status that is older than what is wanted says nothing; a StatefulSet is done at one revision."""
    wanted, state = found.spec.replicas if found.spec.replicas is not None else 1, found.status
    updated, ready = state.updated_replicas or 0, state.ready_replicas or 0
    seen = (state.observed_generation or 0) >= found.metadata.generation
    if kind == "statefulset":
        whole = state.current_revision == state.update_revision or updated >= wanted
    else:
        whole = (state.replicas or 0) == updated and (state.available_replicas or 0) >= wanted
    done = seen and whole and updated >= wanted and ready >= wanted
    return Rollout(kind, found.metadata.name, wanted, updated, ready, done)


def _has_given_up(found: Any) -> bool:
    conditions = found.status.conditions or ()
    return any(
        each.type == "Progressing" and each.reason == "ProgressDeadlineExceeded" for each in conditions
    )
