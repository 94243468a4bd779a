"""A tenant's key-encryption key, in the keyring of every region.

The newest generation wins and is copied to the others, so that a run that was ended between two
regions is finished by the next one, and a region that was away gets what it missed. The caller holds
the deployment's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cortex_runtime.formats.keyring import Keyring, KeyringError, parse
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused


@dataclass(frozen=True, slots=True)
class KeyringChange:
    """What adding a tenant does: the generation afterwards, whether the key is new, the copies written."""

    generation: int
    new_key: bool
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Copy:
    region: str
    path: Path
    keyring: Keyring | None


def add_tenant(deployment: Deployment, tenant: str) -> KeyringChange:
    """Put a first key of a tenant that has none into every region's keyring. Raises Refused."""
    target, change, behind = _wanted(deployment, tenant)
    for copy in behind:
        try:
            durable.write(copy.path, target.to_bytes())
        except OSError as error:
            raise Refused(
                f"The keyring of region {copy.region!r} cannot be written.", why=str(error),
                todo="Mend the directory and repeat: what was begun is finished then.",
            ) from error  # fmt: skip
    return change


def planned(deployment: Deployment, tenant: str) -> KeyringChange:
    """Return what add_tenant would do. Raises Refused."""
    return _wanted(deployment, tenant)[1]


def _wanted(deployment: Deployment, tenant: str) -> tuple[Keyring, KeyringChange, tuple[_Copy, ...]]:
    copies = [
        _read(region.name, region.directory / "secrets" / "keyring.json") for region in deployment.regions
    ]
    newest = _newest(deployment, [copy.keyring for copy in copies if copy.keyring])
    target = newest.with_tenant(tenant)
    behind = tuple(copy for copy in copies if copy.keyring != target)
    new_key = target.generation > newest.generation
    return target, KeyringChange(target.generation, new_key, tuple(copy.region for copy in behind)), behind


def _newest(deployment: Deployment, keyrings: list[Keyring]) -> Keyring:
    if not keyrings:
        raise Refused(
            f"No region of deployment {deployment.name!r} has a keyring that can be read.",
            why=f"None of {deployment.directory}/regions/*/secrets/keyring.json is there and whole.",
            todo="Run cortexctl up when the deployment is new; else restore one from a backup.",
        )
    newest = max(keyrings, key=lambda keyring: keyring.generation)
    for other in keyrings:
        same_root = (other.root_id, other.root_key) == (newest.root_id, newest.root_key)
        if not same_root or (other.generation == newest.generation and other != newest):
            raise Refused(
                "The regions' keyrings contradict each other.",
                why=f"Generation {newest.generation} exists twice, or two root keys are in use.",
                todo=f"Restore one of {deployment.directory}/regions/*/secrets/keyring.json from a backup.",
            )
    return newest


def _read(region: str, path: Path) -> _Copy:
    """Return a region's copy; one that is missing or damaged is none and gets written anew."""
    try:
        return _Copy(region, path, parse(path.read_bytes()))
    except (FileNotFoundError, KeyringError):
        return _Copy(region, path, None)
    except OSError as error:
        raise Refused(
            f"The keyring of region {region!r} cannot be read.", why=str(error),
            todo="Run it as the user that ran cortexctl up.",
        ) from error  # fmt: skip
