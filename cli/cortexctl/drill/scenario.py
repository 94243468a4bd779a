"""Drill scenarios: YAML files of policies/drills, read into types that refuse what makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl import policies
from cortexctl.errors import Refused, UsageError

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Rounds = Annotated[int, Meta(ge=1, le=1000)]
Kind = Literal["kill-region", "kill-node", "kill-database"]
NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a scenario's parts."""


class SteadyState(_Part, frozen=True, kw_only=True):
    """What must hold before the fault: `rounds` good ones in a row of each writer."""

    rounds: Rounds
    within_seconds: Seconds


class Fault(_Part, frozen=True, kw_only=True):
    """What is ended. `target` is a role: it becomes a name when the drill begins."""

    kind: Kind
    target: Literal["primary", "standby", "owner"]


class Expectation(_Part, frozen=True, kw_only=True):
    """What follows, and how long each step may take before it counts as failed."""

    rounds: Rounds
    within_seconds: Seconds
    watch_seconds: Seconds
    return_seconds: Seconds
    convergence_seconds: Seconds


class CanaryPlan(_Part, frozen=True, kw_only=True):
    """How much the canary writes: rounds a second of all writers together."""

    writers: Annotated[int, Meta(ge=1, le=64)]
    rounds_per_second: Annotated[float, Meta(gt=0, le=10_000)]


class Objectives(_Part, frozen=True, kw_only=True):
    """What passes: the recovery time, and how many writes may be lost or ghosts."""

    rto_seconds: Seconds
    lost: Count
    ghosts: Count


class Scenario(_Part, frozen=True, kw_only=True):
    """A drill."""

    name: Annotated[str, Meta(pattern=NAME)]
    description: Annotated[str, Meta(min_length=1)]
    steady_state: SteadyState
    fault: Fault
    expectation: Expectation
    canary: CanaryPlan
    objectives: Objectives


def directory() -> Path:
    """Return where the scenarios are. Raises Refused."""
    return policies.find("drills")


def load_all() -> tuple[Scenario, ...]:
    """Return all scenarios, by name. Raises Refused when one is damaged."""
    return tuple(read(path) for path in sorted(directory().glob("*.yaml")))


def load(name: str) -> Scenario:
    """Return the scenario of this name. Raises UsageError when there is none, Refused when it is damaged."""
    names = sorted(path.stem for path in directory().glob("*.yaml"))
    if name in names:
        return read(directory() / f"{name}.yaml")
    raise UsageError(f"There is no drill {name!r}.", todo=f"Name one of: {', '.join(names)}.")


def read(path: Path) -> Scenario:
    """Read a scenario's file. Raises Refused with the field that is off."""
    import yaml  # noqa: PLC0415 - imported where it is used: --help must be quick

    try:
        scenario = msgspec.convert(yaml.safe_load(path.read_bytes()), Scenario)
    except (OSError, yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error
    if scenario.name != path.stem:
        raise _damaged(path, f"Its name is {scenario.name!r}.")
    if (scenario.fault.target == "owner") != (scenario.fault.kind == "kill-node"):
        raise _damaged(path, f"{scenario.fault.kind} has no target {scenario.fault.target}.")
    return scenario


def _damaged(path: Path, why: str) -> Refused:
    return Refused(f"The scenario {path} is not usable.", why=why, todo="Mend the file.")


decoding.learn(globals())
