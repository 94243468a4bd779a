"""Statements signed by the deployment's operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cortex_runtime.formats.statements import Statement, StatementError, Subject
from cortex_runtime.formats.statements import sign as sign_statement
from cortex_runtime.formats.statements import verify as verify_statement
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed, Refused


def keep(deployment: Deployment, name: str, kind: str, subject: Subject, predicate: dict[str, Any]) -> Path:
    """Sign a statement and keep it as evidence/NAME.json. Raises Refused."""
    statement = Statement(subject=[subject], predicateType=f"https://cortexkg/{kind}/v1", predicate=predicate)
    path = deployment.directory / "evidence" / f"{name}.json"
    try:
        key = (deployment.operator_directory / "statements.key").read_bytes()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        durable.write(path, sign_statement(statement, key))
    except (OSError, StatementError) as error:
        raise Refused(
            f"The statement {name} cannot be signed and kept.",
            why=str(error),
            todo="Run cortexctl up, repeat.",
        ) from error
    return path


def public_key_path(deployment: Deployment) -> Path:
    """Return where the key is by which a deployment's statements are checked."""
    return deployment.operator_directory / "statements.pub"


def verify(path: Path, public_key: Path) -> Statement:
    """Return the statement of a file. Raises ObjectiveMissed when it is not to be believed, or Refused."""
    try:
        content, pem = path.read_bytes(), public_key.read_bytes()
    except OSError as error:
        raise Refused("A file cannot be read.", why=str(error), todo="Check the paths.") from error
    try:
        return verify_statement(content, pem)
    except StatementError as error:
        raise ObjectiveMissed(
            f"{path} is not to be believed.", why=str(error), todo="Get it, and the key, from who made it."
        ) from error
