"""Where to look from: inside a deployment, or outside at its front doors, and as a tenant too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cortexctl import credentials, deployment, health, inputs, platforms
from cortexctl.errors import UsageError
from cortexctl.probing import canary, doors, outside
from cortexctl.probing.doors import Door
from cortexctl.probing.look import Look, together

Looking = Callable[[], Look]


@dataclass(frozen=True, slots=True)
class Place:
    """What is looked at: a deployment of this machine by its name, or front doors by their URLs, if any."""

    name: str
    urls: Sequence[str]
    ca: Path | None

    def looking(self) -> Looking:
        """Return what looks at every part of it that can be seen from here. Raises CortexctlError."""
        if self.urls:
            return _all([partial(outside.look, door) for door in self.doors()])
        here = deployment.load(self.name)
        platform = platforms.of(here)
        return lambda: _parts(health.inspect(here, platform))

    def looking_as(self, tenant: str, key_file: Path | None) -> Looking:
        """Return what also writes and reads as a tenant, through each of its doors. Raises CortexctlError."""
        key = self.key(tenant, key_file)
        return _all([self.looking(), *(partial(canary.look, door, tenant, key) for door in self.doors())])

    def doors(self) -> tuple[Door, ...]:
        """Return its front doors: of a deployment, its edge. Raises CortexctlError."""
        if self.urls:
            return doors.of_urls(self.urls, self.ca)
        here = deployment.load(self.name)
        return (Door(here.edge_url, here.ca_certificate),)

    def key(self, tenant: str, key_file: Path | None) -> str:
        """Return a tenant's API key: the one given, or of a deployment here the one kept."""
        inputs.tenant(tenant)
        if not self.urls:
            return credentials.api_key(deployment.load(self.name), tenant, file=key_file)
        if key := credentials.given(key_file):
            return key
        raise UsageError(
            f"There is no API key of tenant {tenant!r}.",
            why="Of a deployment that is known by its URL alone none is kept here.",
            todo=f"Give --api-key-file or {credentials.ENVIRONMENT}.",
        )


def _all(looks: Sequence[Looking]) -> Looking:
    return lambda: together(look() for look in looks)


def _parts(found: health.Health) -> Look:
    parts = (*(region.name for region in found.regions), *(node.name for node in found.nodes), "edge")
    return Look(parts, found.reasons, found.warnings)
