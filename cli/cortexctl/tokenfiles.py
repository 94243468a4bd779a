"""The files of the token keys: an issuer's own, in the deployment, and a copy in every region.

<deployment>/secrets/token-keys.json     of the nodes; a region's copy is secrets/token-keys.json
<deployment>/operator/token-keys.json    of the operators; a region's copy, secrets/operator-keys.json,
                                         has the public halves alone
"""

from __future__ import annotations

from pathlib import Path

from cortex_runtime.formats import tokenkeys
from cortex_runtime.formats.tokenkeys import Issuer, TokenKeys, TokenKeysError
from cortexctl import durable
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused

ISSUERS: tuple[Issuer, ...] = ("node", "operator")


def ensure(deployment: Deployment, issuer: Issuer) -> None:
    """Make an issuer's keys when there are none."""
    path = _path(deployment, issuer)
    if not path.exists():
        durable.write(path, tokenkeys.new_token_keys(issuer).to_bytes())


def read(deployment: Deployment, issuer: Issuer) -> TokenKeys:
    """Return an issuer's keys. Raises Refused."""
    path = _path(deployment, issuer)
    try:
        return tokenkeys.parse(path.read_bytes())
    except TokenKeysError as error:
        raise Refused(f"{path} is damaged.", why=str(error), todo="Restore it from a backup.") from error
    except OSError as error:
        raise Refused(
            f"The token keys of deployment {deployment.name!r} cannot be read.", why=str(error),
            todo="Run it as the user that ran cortexctl up; run up again when the file is missing.",
        ) from error  # fmt: skip


def keep(deployment: Deployment, keys: TokenKeys) -> None:
    """Keep an issuer's keys, and copy them to every region.

    A region whose directory is away gets them when that is made again. Raises Refused, after which the same
    call goes on where it was.
    """
    try:
        durable.update(_path(deployment, keys.issuer), keys.to_bytes())
        for region in deployment.regions:
            if (region.directory / "secrets").is_dir():
                copy(region, keys)
    except OSError as error:
        raise Refused(
            "The token keys cannot be written everywhere.", why=str(error),
            todo="Mend the directory and repeat: what was begun is finished then.",
        ) from error  # fmt: skip


def copy(region: Region, keys: TokenKeys) -> None:
    """Give a region its copy. Raises OSError."""
    secrets = region.directory / "secrets"
    if keys.issuer == "node":
        durable.update(secrets / "token-keys.json", keys.to_bytes())
    else:
        durable.update(secrets / "operator-keys.json", keys.public().to_bytes())


def _path(deployment: Deployment, issuer: Issuer) -> Path:
    directory = deployment.operator_directory if issuer == "operator" else deployment.directory / "secrets"
    return directory / "token-keys.json"
