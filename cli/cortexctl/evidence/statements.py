"""Statements signed by the deployment's operator."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_runtime.formats.statements import Statement, StatementError, Subject
from cortex_runtime.formats.statements import sign as sign_statement
from cortex_runtime.formats.statements import verify as verify_statement
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed, Refused


@dataclass(frozen=True, slots=True)
class Kept:
    """A statement that is kept; `statement` is None when it is not to be believed, and `trouble` says why.

    `digest` is the SHA-256 of its file.
    """

    path: Path
    digest: str
    statement: Statement | None
    trouble: str = ""


def signed(deployment: Deployment, kind: str, subjects: list[Subject], predicate: dict[str, Any]) -> bytes:
    """Return a statement of a kind, signed by the deployment's operator. Raises Refused."""
    statement = Statement(subject=subjects, predicateType=_type_of(kind), predicate=predicate)
    try:
        return sign_statement(statement, (deployment.operator_directory / "statements.key").read_bytes())
    except (OSError, StatementError) as error:
        raise Refused(
            f"A statement ({kind}) cannot be signed.", why=str(error),
            todo="Run cortexctl up, or run this as the user that ran it.",
        ) from error  # fmt: skip


def keep(deployment: Deployment, name: str, kind: str, subject: Subject, predicate: dict[str, Any]) -> Path:
    """Sign a statement and keep it as evidence/KIND-NAME.json. Raises Refused."""
    content = signed(deployment, kind, [subject], predicate)
    path = _directory(deployment) / f"{kind}-{name}.json"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        durable.write(path, content)
    except OSError as error:
        raise Refused(
            f"The statement {path.name} cannot be kept.", why=str(error), todo="Make room, and repeat."
        ) from error
    return path


def kept(deployment: Deployment, kind: str) -> list[Kept]:
    """Return the statements of a kind that are kept, by name. Raises OSError."""
    public = public_key_path(deployment).read_bytes()
    return [_read(path, kind, public) for path in sorted(_directory(deployment).glob(f"{kind}-*.json"))]


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


def _read(path: Path, kind: str, public: bytes) -> Kept:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    try:
        statement = verify_statement(content, public)
    except StatementError as error:
        return Kept(path, digest, None, str(error))
    if statement.predicateType != _type_of(kind):
        return Kept(path, digest, None, f"it is of the type {statement.predicateType}")
    return Kept(path, digest, statement)


def _directory(deployment: Deployment) -> Path:
    return deployment.directory / "evidence"


def _type_of(kind: str) -> str:
    return f"https://cortexkg/{kind}/v1"
