"""Roles as a region has them in force: the file that its nodes were started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortexctl.errors import Refused


@dataclass(frozen=True, slots=True)
class Role:
    """A role: whom it is for, and all its permissions, those of the role that it includes too."""

    audience: str
    permissions: frozenset[str]


def read(path: Path) -> dict[str, Role]:
    """Return the roles of a file. Raises Refused when it is damaged or missing."""
    import yaml  # noqa: PLC0415 - --help must be quick

    try:
        known = yaml.safe_load(path.read_bytes())["roles"]
        return {name: Role(str(role["audience"]), _gathered(name, known)) for name, role in known.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"{path} is not usable.", why=repr(error), todo="Run cortexctl up.") from error


def _gathered(name: str, known: dict[str, Any]) -> frozenset[str]:
    role = known[name]
    more = _gathered(role["includes"], known) if role.get("includes") else frozenset[str]()
    return more | frozenset(role["permissions"])
