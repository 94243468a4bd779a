"""What the rules hold a deployment to: policies/deployment.yaml, and what its own deployment.yaml changes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl import policies
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused

Region = Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-[1-9]$(?!\n)")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Days = Annotated[int, Meta(ge=1, le=3650)]


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `data.deployment` of the rules: regions of AWS, tags by their names, spans in days."""

    protected: bool
    regions: list[Region]
    global_regions: list[Region]
    peers: list[Region]
    tags: list[str]
    public_ports: list[Port]
    backup_days: Days
    log_days: Days


def load(deployment: Deployment | None) -> Facts:
    """Return the facts of a deployment, or of one that says nothing. Raises Refused with what is off."""
    import yaml  # noqa: PLC0415 - --help must be quick

    path = policies.find("deployment.yaml")
    own = _own(deployment) if deployment else {}
    try:
        general = msgspec.convert(yaml.safe_load(path.read_bytes()), Facts)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise Refused(f"{path} is not usable.", why=_line(error), todo="Mend the file.") from error
    try:
        return msgspec.convert(msgspec.to_builtins(general) | own, Facts)
    except msgspec.ValidationError as error:
        assert deployment
        raise Refused(
            f"The policy of deployment {deployment.name!r} is not usable.",
            why=_line(error),
            todo=f"Mend policy in {deployment.directory / 'deployment.yaml'}.",
        ) from error


def _own(deployment: Deployment) -> dict[str, Any]:
    """Return what a deployment says of itself: on AWS its regions are those that it may use."""
    regions = {"regions": list(deployment.nodes_a_region)} if deployment.platform == "aws" else {}
    return regions | (deployment.policy or {})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


decoding.learn(globals())
