"""Controls: policies/compliance.yaml, read into types that refuse what makes no sense."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl import policies
from cortexctl.compliance.checks import CHECKS
from cortexctl.compliance.criteria import CRITERIA
from cortexctl.compliance.finding import Bounds
from cortexctl.errors import Refused

Words = Annotated[str, Meta(min_length=1, max_length=200)]


class Control(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A control: what it is for, the criteria that it is evidence of, its check, and what mends it."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$(?!\n)")]
    title: Words
    criteria: Annotated[list[str], Meta(min_length=1)]
    check: str
    bounds: dict[str, Any] = {}
    remedy: Words

    @property
    def measured(self) -> Bounds:
        """The bounds as the check takes them. Raises msgspec.ValidationError."""
        measured: Bounds = msgspec.convert(self.bounds, CHECKS[self.check].bounds)
        return measured


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    controls: Annotated[list[Control], Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Controls:
    """All controls, and the SHA-256 of the file that has them."""

    all: tuple[Control, ...]
    digest: str


def load() -> Controls:
    """Return the controls. Raises Refused with what is off."""
    return read(policies.find("compliance.yaml"))


def read(path: Path) -> Controls:
    """Return the controls of a file. Raises Refused with what is off."""
    import yaml  # noqa: PLC0415 - --help must be quick

    try:
        content = path.read_bytes()
        found = msgspec.convert(yaml.safe_load(content), _File).controls
        _check_all(found)
    except (OSError, yaml.YAMLError, ValueError) as error:
        why = " ".join(str(error).split())
        raise Refused(f"{path} is not usable.", why=why, todo="Mend the file.") from error
    return Controls(tuple(found), hashlib.sha256(content).hexdigest())


def _check_all(found: list[Control]) -> None:
    """Raise ValueError when a control cannot be, or two have the same id."""
    ids = [control.id for control in found]
    if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise ValueError(f"{', '.join(twice)} stands there twice")
    for control in found:
        _check(control)


def _check(control: Control) -> None:
    """Raise ValueError when a control cites or calls what there is not."""
    if control.check not in CHECKS:
        raise ValueError(f"{control.id}: there is no check {control.check!r}; known: {', '.join(CHECKS)}")
    if unknown := [each for each in control.criteria if each not in CRITERIA]:
        raise ValueError(f"{control.id}: {', '.join(unknown)} is no criterion that is known")
    try:
        control.measured  # noqa: B018 - it raises
    except msgspec.ValidationError as error:
        raise ValueError(f"{control.id}, bounds: {error}") from error


decoding.learn(globals())
