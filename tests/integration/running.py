"""A real deployment under test: driven by the real command line in a subprocess, and by HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cortex_runtime.client import ApiError, Client, ConnectionFailed
from cortex_runtime.formats.messages import BatchResponse, Concept, ConceptBody, HealthReport
from cortexctl import access
from cortexctl.deployment import Deployment, Node
from cortexctl.platforms.local import LocalPlatform

ROOT = Path(__file__).parents[2]
CORTEXCTL = ROOT / "scripts" / "cortexctl"
KILLED = Path(__file__).with_name("killed.py")
NOT_YET = (
    AssertionError, pytest.fail.Exception, LookupError, StopIteration, FileNotFoundError,
    ApiError, ConnectionFailed,
)  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Running:
    """A deployment that is up, and its command line."""

    deployment: Deployment

    @property
    def platform(self) -> LocalPlatform:
        return LocalPlatform(self.deployment)

    def run(
        self, *words: str, expect: int | tuple[int, ...] = 0, input_: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run cortexctl, and fail when it exits with another code, or none of these."""
        done = subprocess.run(
            [CORTEXCTL, "--deployment", self.deployment.name, *words],
            capture_output=True, text=True, input=input_ or "", timeout=300, check=False,
        )  # fmt: skip
        expected = (expect,) if isinstance(expect, int) else expect
        assert done.returncode in expected, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def run_killed(self, step: int, *words: str) -> bool:
        """Run cortexctl, killed at a step (see killed.py); tell whether it was: else it exits with 0."""
        done = subprocess.run(
            [sys.executable, "-P", KILLED, str(step), "--deployment", self.deployment.name, *words],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), f"{words}: exit {done.returncode}\n{done.stderr}"
        return done.returncode != 0

    def json(self, *words: str, expect: int = 0) -> Any:
        """Run cortexctl with --output json and return what it printed."""
        return json.loads(self.run(*words, "--output", "json", expect=expect).stdout)

    def tenant(self, name: str, **options: Any) -> Client:
        """Return a client of a tenant through the edge."""
        return access.tenant(self.deployment, name, **options)

    def at(self, node: Node, **options: Any) -> Client:
        """Return an operator's client at a node's own listener."""
        return access.operator(self.deployment, url=f"https://{node.address}", **options)

    def reports(self) -> dict[str, HealthReport]:
        """Return the health reports of the nodes that answer."""
        found = {}
        for node in self.deployment.nodes:
            try:
                with self.at(node, timeout=2.0, deadline=0) as client:
                    found[node.name] = client.request("GET", "/v1/health?hashes=true", type=HealthReport)
            except (ApiError, ConnectionFailed):
                continue
        return found

    def node(self, name: str) -> Node:
        return next(node for node in self.deployment.nodes if node.name == name)

    def owner(self, slot: int) -> Node:
        """Return the node that owns a slot."""
        return eventually(lambda: self.node(self._owners(slot)[0]))

    def _owners(self, slot: int) -> list[str]:
        return [
            name
            for name, report in self.reports().items()
            for one in report.slots
            if one.slot == slot and one.owner
        ]

    def primary_region(self) -> str:
        """Return the region of the primary."""
        return eventually(lambda: next(m.region for m in self.platform.database() if m.role == "primary"))

    def pid_of(self, node: str) -> int:
        """Return the process of a node."""
        region = self.deployment.region(self.node(node).region)
        for line in self.platform.region_processes(region.name):
            pid = int(line.split()[0])
            if f"nodes/{node}.json".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise LookupError(node)

    def healthy(self) -> None:
        """Wait until all is healthy and every replica of each slot has the same position and hash."""
        eventually(lambda: self.run("status"), patience=90)
        eventually(self.assert_agreement, patience=30)

    def assert_agreement(self) -> None:
        reports = self.reports()
        assert set(reports) == {node.name for node in self.deployment.nodes}
        states: dict[int, set[tuple[int, int, str]]] = {}
        for report in reports.values():
            for slot in report.slots:
                states.setdefault(slot.slot, set()).add((slot.position.token, slot.position.seq, slot.digest))
        assert all(len(found) == 1 for found in states.values()), states


def eventually(check: Callable[[], T], *, patience: float = 20.0, pause: float = 0.1) -> T:
    """Return what `check` returns, once it neither raises nor fails an assertion."""
    until = time.monotonic() + patience
    while True:
        try:
            return check()
        except (
            AssertionError,
            pytest.fail.Exception,
            LookupError,
            StopIteration,
            ApiError,
            ConnectionFailed,
        ):
            if time.monotonic() > until:
                raise
        time.sleep(pause)


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes, and let them go on at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def concept_path(tenant: str, name: str, cortex: str = "main") -> str:
    return f"/v1/tenants/{tenant}/cortices/{cortex}/concepts/{name}"


def put(client: Client, tenant: str, name: str, text: str, **options: Any) -> BatchResponse:
    """Put a concept."""
    return client.request(
        "PUT", concept_path(tenant, name), ConceptBody(text=text), type=BatchResponse, **options
    )


def get(client: Client, tenant: str, name: str, **options: Any) -> Concept:
    """Get a concept."""
    return client.request("GET", concept_path(tenant, name), type=Concept, **options)


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
