"""Reports of drills: JSON files in the deployment's directory, each written at once or not at all."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

import msgspec

from cortex_runtime.formats import decoding
from cortex_runtime.formats.statements import Subject
from cortexctl import durable, evidence
from cortexctl.deployment import Deployment
from cortexctl.drill.scenario import Objectives
from cortexctl.errors import Refused, UsageError

ID = re.compile(r"^\d{8}T\d{6}Z-[a-z0-9-]{1,40}$")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: at which time (ISO 8601), how many seconds after the fault, and what."""

    at: str
    seconds: float | None
    phase: str
    event: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was ended ('pid name') by the fault, and what of it was left."""

    at: str
    target: str
    ended: list[str]
    survivors: list[str]


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """A node at the end: for each slot its position (token.seq) and the hash of its arrays."""

    name: str
    region: str
    status: str
    slots: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A drill's result. `lost` and `ghosts` count writes, `lost_ids` and `ghost_ids` name them."""

    id: str
    drill: str
    deployment: str
    outcome: Literal["passed", "missed", "invalid", "error"]
    reasons: list[str]
    fault: str
    target: str
    fault_landed: bool
    rto_seconds: float | None
    rpo_seconds: float
    acknowledged: int
    lost: int
    ghosts: int
    objectives: Objectives
    first_write_seconds: float | None
    longest_gap_seconds: float
    refused: int
    unknown: int
    unknown_turned_up: int
    bad_rounds: int
    lost_ids: list[str]
    ghost_ids: list[str]
    primary_before: str | None
    primary_after: str | None
    converged: bool
    disagreements: list[str]
    nodes: list[NodeState]
    evidence: Evidence | None
    started: str
    finished: str
    timeline: list[Event]


def directory(deployment: Deployment) -> Path:
    """Return where a deployment's reports are."""
    return deployment.directory / "drills"


def write(deployment: Deployment, report: Report) -> Path:
    """Keep a report, and a signed statement of it in evidence/. Returns its file. Raises Refused."""
    path = directory(deployment) / f"{report.id}.json"
    content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    durable.write(path, content)
    subject = Subject(f"drill/{report.id}", {"sha256": hashlib.sha256(content).hexdigest()})
    evidence.keep(deployment, report.id, "drill", subject, msgspec.to_builtins(report))
    return path


def ids(deployment: Deployment) -> list[str]:
    """Return the reports' ids, oldest first."""
    return sorted(path.stem for path in directory(deployment).glob("*.json") if ID.match(path.stem))


def read(deployment: Deployment, id_: str | None) -> Report:
    """Return a report, the newest unless one is named. Raises UsageError, Refused when it is damaged."""
    known = ids(deployment)
    if not known:
        raise UsageError("No drill was run in this deployment.", todo="Run cortexctl drill run region-loss.")
    if id_ is not None and id_ not in known:
        raise UsageError(
            f"There is no report {id_!r}.", todo=f"The newest is {known[-1]}; see drill report --list."
        )
    path = directory(deployment) / f"{id_ or known[-1]}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        raise Refused(
            f"{path} cannot be read.", why=str(error), todo="Remove it, or run the drill again."
        ) from error


decoding.learn(globals())
