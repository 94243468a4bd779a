"""The passphrase that seals the keyring: in a file of the operator's, of which the deployment knows the path.

Nodes have a link to it in their region's directory, and one to that before while it is being changed: so they
open the keyring whichever of the two seals it just then, and need not be started again.
"""

from __future__ import annotations

import os
from pathlib import Path

from cortexctl import durable
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused

PASSPHRASES = ("passphrase", "passphrase-before")
SHORTEST = 12


def current(deployment: Deployment) -> bytes | None:
    """Return the passphrase that is to seal the keyring, None when it has none. Raises Refused."""
    path = deployment.keyring_passphrase_file
    return None if path is None else read(Path(path))


def possible(deployment: Deployment) -> list[bytes]:
    """Return the passphrases that may seal the keyring: the present, and the one before. Raises Refused."""
    paths = (deployment.keyring_passphrase_file, deployment.keyring_passphrase_before)
    return [read(Path(path)) for path in paths if path is not None]


def read(path: Path) -> bytes:
    """Return the passphrase in a file, without the end of its line. Raises Refused."""
    try:
        passphrase = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise Refused(
            "The file with the keyring's passphrase cannot be read.", why=str(error),
            todo="See to it that it is there and yours; without it nobody opens the keyring.",
        ) from error  # fmt: skip
    if len(passphrase) < SHORTEST:
        raise Refused(
            f"The passphrase in {path} is too short.",
            why=f"It has {len(passphrase)} bytes; {SHORTEST} are the least.",
            todo="Make one: openssl rand -base64 24 > FILE.",
        )
    return passphrase


def link(deployment: Deployment, region: Region) -> None:
    """Make a region's links to the files with the passphrases, or remove them where there is none."""
    directory = region.directory / "secrets"
    paths = (deployment.keyring_passphrase_file, deployment.keyring_passphrase_before)
    for name, target in zip(PASSPHRASES, paths, strict=True):
        place = directory / name
        if target is None:
            place.unlink(missing_ok=True)
        elif not place.is_symlink() or os.readlink(place) != target:  # noqa: PTH115 - as it was written
            made = directory / f".{name}.new"
            made.unlink(missing_ok=True)
            made.symlink_to(target)
            made.replace(place)
    durable.sync_directory(directory)
