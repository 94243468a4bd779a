"""The only place that runs Helm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortexctl.errors import CortexctlError, ObjectiveMissed, OutcomeUnknown, Refused, ToolMissing, UsageError

GRACE = 120.0  # seconds: after its own limit Helm rolls back


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its name, its namespace, and which cluster (see api.connect)."""

    name: str
    namespace: str
    kubeconfig: Path | None = None
    context: str | None = None

    def options(self) -> list[str]:
        """Return the words that say where it is."""
        return [
            "--namespace", self.namespace,
            *(["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []),
            *(["--kube-context", self.context] if self.context else []),
        ]  # fmt: skip


def find() -> Path:
    """Return the program. Raises ToolMissing."""
    if found := shutil.which("helm"):
        return Path(found)
    raise ToolMissing(
        "Helm is missing.", why="There is no helm on the PATH.", todo="Install Helm 3.14 or newer, or Helm 4."
    )


def install(
    release: Release, chart: Path, values: Sequence[Path], *, seconds: float, dry_run: bool = False
) -> str:
    """Install a release or bring it to these values, and return what Helm says when all of it is ready.

    When it is not after `seconds` it is as it was before (ObjectiveMissed). Raises UsageError for values that
    the chart refuses, Refused when the cluster does not answer or does not let us.
    """
    program = find()
    words = [
        str(program), "upgrade", release.name, str(chart), "--install", "--create-namespace",
        *release.options(),
        *(word for file in values for word in ("--values", str(file))),
    ]  # fmt: skip
    # Both Helm 3 and 4 know --atomic, which waits and rolls back.
    words += ["--dry-run=client"] if dry_run else ["--atomic", "--timeout", f"{seconds:.0f}s"]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + GRACE,
        )
    except subprocess.TimeoutExpired as error:
        raise OutcomeUnknown(
            "Helm did not end.", why=f"It was ended after {error.timeout:.0f} s.",
            todo=f"See helm status {release.name} --namespace {release.namespace}; helm rollback undoes it.",
        ) from error  # fmt: skip
    if done.returncode:
        raise _explain(release, done.stderr)
    return done.stdout


def _explain(release: Release, said: str) -> CortexctlError:
    why = said.partition("Error: ")[2].strip() or said  # before that it notes what it found on its way
    if "values don't meet the specifications" in said or "execution error at" in said:
        return UsageError(
            "The chart refuses these values.", why=why, todo="Mend them: see the chart's README."
        )
    if "cluster unreachable" in said or "forbidden" in said or "Unauthorized" in said:
        return Refused(
            "The cluster does not let Helm in.", why=why, todo="Check the kubeconfig and the context."
        )
    if "another operation" in said:
        return Refused("Another run changes this release.", why=why, todo="Wait for it, then repeat.")
    return ObjectiveMissed(
        f"Release {release.name!r} was not ready in time, or not at all.", why=why,
        todo="What was there before is there again. See kubectl get events, then repeat it.",
    )  # fmt: skip
