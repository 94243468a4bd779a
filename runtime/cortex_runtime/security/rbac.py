"""Roles and their permissions, read from policies/rbac.yaml into sets: one look-up decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec
import yaml
from msgspec import Meta

from cortex_runtime.formats import decoding

Audience = Literal["public", "tenant", "operator"]
Permission = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?$(?!\n)")]
RoleName = Annotated[str, Meta(pattern=r"^[a-z][a-z-]{0,31}$(?!\n)")]


class RbacError(ValueError):
    """The roles cannot be used; says which one and why."""


class Role(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role as the file has it."""

    audience: Audience
    summary: str
    permissions: list[Permission]
    includes: RoleName | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    roles: dict[RoleName, Role]


class Guarded(Protocol):
    """What needs a permission: a route."""

    @property
    def audience(self) -> Audience:
        """Whom it is for."""

    @property
    def action(self) -> str:
        """The permission that it needs."""


class Rbac:
    """The roles of a deployment."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._audiences = {name: role.audience for name, role in roles.items()}
        self._permissions = {name: frozenset(_gather(name, roles)) for name in roles}

    def allows(self, role: str, permission: str) -> bool:
        """Tell whether a role has a permission; one that is not known has none."""
        return permission in self._permissions.get(role, ())

    def roles(self, audience: Audience) -> list[str]:
        """Return the names of the roles for an audience."""
        return [name for name, own in self._audiences.items() if own == audience]

    def check(self, routes: Iterable[Guarded]) -> None:
        """Raise RbacError unless roles and routes fit: each route can be reached, each permission is used."""
        wanted = {(route.audience, route.action) for route in routes}
        granted = {
            (self._audiences[name], permission)
            for name, permissions in self._permissions.items()
            for permission in permissions
        }
        if missing := sorted(wanted - granted):
            raise RbacError(f"no role has {', '.join(f'{action} ({who})' for who, action in missing)}")
        if unused := sorted(granted - wanted):
            raise RbacError(f"no route needs {', '.join(f'{action} ({who})' for who, action in unused)}")


def read(path: Path) -> Rbac:
    """Read the roles. Raises RbacError."""
    try:
        return Rbac(msgspec.convert(yaml.safe_load(path.read_bytes()), _File).roles)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise RbacError(f"{path}: {' '.join(str(error).split())}") from error


def _gather(name: str, roles: Mapping[str, Role]) -> set[str]:
    """Return all permissions of a role, with those of what it includes."""
    found: set[str] = set()
    seen: list[str] = []
    current: str | None = name
    while current is not None:
        role = roles.get(current)
        if role is None or current in seen or role.audience != roles[name].audience:
            raise RbacError(f"role {name} includes {current}, which it cannot")
        found.update(role.permissions)
        seen.append(current)
        current = role.includes
    return found


decoding.learn(globals())
