"""A tenant's key-encryption key, in the keyring of every region.

The newest generation wins and is copied to the others, so that a run that was ended between two
regions is finished by the next one, and a region that was away gets what it missed. The caller holds
the deployment's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from cortex_runtime.formats.keyring import Keyring, KeyringError, KeyringSealed, parse, seal_of
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import passphrases


@dataclass(frozen=True, slots=True)
class KeyringChange:
    """What a change does: the generation afterwards, whether that is a new one, the copies written.

    Of keys in AWS KMS: the newest version, its AWS regions, and when AWS destroys what was closed.
    """

    generation: int
    changed: bool
    written: tuple[str, ...]
    gone_at: str | None = None


@dataclass(frozen=True, slots=True)
class _Copy:
    region: str
    path: Path
    keyring: Keyring | None


def add_tenant(deployment: Deployment, tenant: str) -> KeyringChange:
    """Put a first key of a tenant that has none into every region's keyring. Raises Refused."""
    return _carry_out(_wanted(deployment, lambda newest: newest.with_tenant(tenant)))


def destroy_tenant(deployment: Deployment, tenant: str) -> KeyringChange:
    """Destroy a tenant's keys in every region's keyring, and change the root key. Raises Refused."""
    passphrase = passphrases.current(deployment)
    return _carry_out(_wanted(deployment, lambda newest: newest.without_tenant(tenant, passphrase)))


def next_key(deployment: Deployment, tenant: str) -> KeyringChange:
    """Put a further key-encryption key of a tenant into every region's keyring. Raises Refused."""
    return _carry_out(_wanted(deployment, lambda newest: newest.with_next_key(tenant)))


def drop_keys(deployment: Deployment, tenant: str, kept: Collection[int]) -> KeyringChange:
    """Destroy a tenant's key-encryption keys but for the newest and these, everywhere. Raises Refused."""
    return _carry_out(_wanted(deployment, lambda newest: newest.without_keys(tenant, kept)))


def reroot(deployment: Deployment) -> KeyringChange:
    """Give every region's keyring a new root key, which wraps all keys anew. Raises Refused."""
    check_used(deployment)
    passphrase = passphrases.current(deployment)
    return _carry_out(_wanted(deployment, lambda keyring: keyring.rerooted(passphrase)))


def seal(deployment: Deployment) -> KeyringChange:
    """Seal every region's keyring by the deployment's passphrase, which it has. Raises Refused."""
    passphrase = passphrases.current(deployment)
    assert passphrase is not None
    return _carry_out(_wanted(deployment, lambda newest: newest.sealed(passphrase)))


def newest(deployment: Deployment) -> Keyring:
    """Return the newest of the regions' keyrings. Raises Refused."""
    check_used(deployment)
    return _wanted(deployment, lambda keyring: keyring).target


def check_used(deployment: Deployment) -> None:
    """Raise Refused when a deployment has no keyring."""
    if deployment.kms is not None:
        raise Refused(
            f"Deployment {deployment.name!r} has no keyring.",
            why="AWS KMS keeps its key-encryption keys, and no root key wraps them.",
            todo="Rotate them by cortexctl key rotate --kek.",
        )


def newest_version(deployment: Deployment, tenant: str) -> int:
    """Return the version of a tenant's newest key-encryption key, which opens. Raises Refused."""
    try:
        return newest(deployment).tenant_key(tenant)[0]
    except KeyringError as error:
        raise Refused(
            f"The keyring has no usable key of tenant {tenant!r}.", why=f"{error}.",
            todo="Check the name; cortexctl tenant list shows the tenants.",
        ) from error  # fmt: skip


def versions(deployment: Deployment, tenant: str) -> set[int]:
    """Return the versions of a tenant's key-encryption key. Raises Refused."""
    return {key.version for key in newest(deployment).tenants.get(tenant, [])}


def made_at(deployment: Deployment, tenant: str) -> str | None:
    """Return when a tenant's newest key-encryption key was made, None when nobody knows. Raises Refused."""
    keys = newest(deployment).tenants.get(tenant, [])
    return keys[-1].made_at if keys else None


def open_(deployment: Deployment, region: str, content: bytes) -> Keyring:
    """Return a region's keyring, opened. Raises KeyringError, or Refused when no passphrase opens it."""
    try:
        return parse(content, passphrases.possible(deployment) if seal_of(content) else ())
    except KeyringSealed as error:
        raise Refused(
            f"The keyring of region {region!r} is sealed, and does not open.",
            why="There is no passphrase for it."
            if deployment.keyring_passphrase_file is None
            else f"The passphrase in {deployment.keyring_passphrase_file} is not the one.",
            todo="Name the file with the right one: cortexctl up --keyring-passphrase-file FILE.",
        ) from error


def planned(deployment: Deployment, tenant: str) -> KeyringChange:
    """Return what add_tenant would do. Raises Refused."""
    return _wanted(deployment, lambda newest: newest.with_tenant(tenant)).change


@dataclass(frozen=True, slots=True)
class _Wanted:
    target: Keyring
    copies: tuple[_Copy, ...]
    behind: tuple[_Copy, ...]
    change: KeyringChange


def _wanted(deployment: Deployment, change: Callable[[Keyring], Keyring]) -> _Wanted:
    copies = tuple(
        _read(deployment, region.name, region.directory / "secrets" / "keyring.json")
        for region in deployment.regions
    )
    newest = _newest(deployment, [copy.keyring for copy in copies if copy.keyring])
    target = _changed(change, newest)
    behind = tuple(copy for copy in copies if copy.keyring != target)
    changed = target.generation > newest.generation
    return _Wanted(
        target,
        copies,
        behind,
        KeyringChange(target.generation, changed, tuple(copy.region for copy in behind)),
    )


def _changed(change: Callable[[Keyring], Keyring], newest: Keyring) -> Keyring:
    try:
        return change(newest)
    except KeyringError as error:
        raise Refused(
            "The keyring cannot be changed.", why=f"{error}.",
            todo="Check the tenant's name, and that the deployment has its passphrase (cortexctl key seal).",
        ) from error  # fmt: skip


def _carry_out(wanted: _Wanted) -> KeyringChange:
    for copy in wanted.copies:
        try:
            if copy in wanted.behind:
                durable.write(copy.path, wanted.target.to_bytes())
            durable.remove_leftovers(copy.path)  # they may have keys that this change destroys
        except OSError as error:
            raise Refused(
                f"The keyring of region {copy.region!r} cannot be written.", why=str(error),
                todo="Mend the directory and repeat: what was begun is finished then.",
            ) from error  # fmt: skip
    return wanted.change


def _newest(deployment: Deployment, keyrings: list[Keyring]) -> Keyring:
    if not keyrings:
        raise Refused(
            f"No region of deployment {deployment.name!r} has a keyring that can be read.",
            why=f"None of {deployment.directory}/regions/*/secrets/keyring.json is there and whole.",
            todo="Run cortexctl up when the deployment is new; else restore one from a backup.",
        )
    newest = max(keyrings, key=lambda keyring: keyring.generation)
    for other in keyrings:
        related = other.root_id == newest.root_id or other.root_id in newest.former_roots
        if not related or (other.generation == newest.generation and other != newest):
            raise Refused(
                "The regions' keyrings contradict each other.",
                why=f"Generation {newest.generation} exists twice, or one has a root key of another keyring.",
                todo=f"Restore one of {deployment.directory}/regions/*/secrets/keyring.json from a backup.",
            )
    return newest


def _read(deployment: Deployment, region: str, path: Path) -> _Copy:
    """Return a region's copy; one that is missing or damaged is none and gets written anew."""
    try:
        return _Copy(region, path, open_(deployment, region, path.read_bytes()))
    except (FileNotFoundError, KeyringError):
        return _Copy(region, path, None)
    except OSError as error:
        raise Refused(
            f"The keyring of region {region!r} cannot be read.", why=str(error),
            todo="Run it as the user that ran cortexctl up.",
        ) from error  # fmt: skip
