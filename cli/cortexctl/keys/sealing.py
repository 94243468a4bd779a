"""Sealing the keyring by a passphrase, or by another one.

In this order: the deployment knows both passphrases, the nodes have links to both, the new one seals every
region's keyring, and only then the old one is forgotten. A run that was ended anywhere is finished by the
next with the same file. The caller holds the deployment's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cortexctl import deployment as deployments
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import keyrings, passphrases


@dataclass(frozen=True, slots=True)
class Sealed:
    """A keyring that a passphrase seals: which file has it, the generation, the copies written."""

    passphrase_file: str
    keyring_generation: int
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedSealing:
    """What sealing would do."""

    passphrase_file: str
    would: str


def preview_sealing(deployment: Deployment, file: Path) -> PlannedSealing:
    """Return what seal would do. Raises Refused."""
    wanted = _wanted(deployment, file)
    sealed = keyrings.newest(deployment).root_seal is not None
    would = "seal the keyring by another passphrase" if sealed else "seal the keyring"
    return PlannedSealing(str(wanted.keyring_passphrase_file), f"{would}, in {len(wanted.regions)} regions")


def seal(deployment: Deployment, file: Path, *, told: Callable[[str], None] = lambda _: None) -> Sealed:
    """Seal the keyring of every region by the passphrase in a file. Raises Refused."""
    wanted = _wanted(deployment, file)
    _keep(wanted)
    change = keyrings.seal(wanted)
    told(f"The keyring of every region is sealed by the passphrase in {wanted.keyring_passphrase_file}.")
    _keep(replace(wanted, keyring_passphrase_before=None))
    return Sealed(str(wanted.keyring_passphrase_file), change.generation, change.written)


def _wanted(deployment: Deployment, file: Path) -> Deployment:
    keyrings.check_used(deployment)
    path = str(file.absolute())
    passphrases.read(file)
    before, now = deployment.keyring_passphrase_before, deployment.keyring_passphrase_file
    if before is not None and path != now:
        raise Refused(
            "The passphrase is being changed already.",
            why=f"A run with {now} was ended before its end.",
            todo=f"Finish it: cortexctl key seal --new-passphrase-file {now}.",
        )
    before = before if path == now else now
    return replace(deployment, keyring_passphrase_file=path, keyring_passphrase_before=before)


def _keep(deployment: Deployment) -> None:
    durable.write(deployment.directory / "deployment.yaml", deployments.dump(deployment).encode())
    for region in deployment.regions:
        passphrases.link(deployment, region)
