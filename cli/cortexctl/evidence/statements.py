"""Statements signed by the deployment's operator."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_runtime.formats.statements import Statement, StatementError, Subject
from cortex_runtime.formats.statements import sign as sign_statement
from cortex_runtime.formats.statements import verify as verify_statement
from cortexctl import durable, inputs
from cortexctl.audit import PUBLIC_KEY, Proven
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed, Refused, UsageError
from cortexctl.evidence import receipts


@dataclass(frozen=True, slots=True)
class Believed:
    """A statement that is signed; of a receipt of offboarding also the event that the audit log has."""

    statement: Statement
    leaving: Proven | None = None


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


def key_paths(deployment: Deployment) -> dict[str, Path]:
    """Return where the public keys are by which a deployment's statements and audit log are checked."""
    return {
        "public_key": deployment.operator_directory / "statements.pub",
        "audit_key": deployment.directory / "secrets" / PUBLIC_KEY,
    }


def kept(deployment: Deployment, kind: str) -> list[Kept]:
    """Return the statements of a kind that are kept, by name. Raises OSError."""
    public = key_paths(deployment)["public_key"].read_bytes()
    return [_read(path, kind, public) for path in sorted(_directory(deployment).glob(f"{kind}-*.json"))]


def verify(path: Path, public_key: Path, audit_key: Path | None = None) -> Believed:
    """Return what a file states. A receipt of offboarding needs the audit log's key too.

    Raises ObjectiveMissed when it is not to be believed, Refused or UsageError when files are missing.
    """
    try:
        content, pem = path.read_bytes(), public_key.read_bytes()
    except OSError as error:
        raise Refused("A file cannot be read.", why=str(error), todo="Check the paths.") from error
    try:
        statement = verify_statement(content, pem)
    except StatementError as error:
        raise ObjectiveMissed(
            f"{path} is not to be believed.", why=str(error), todo="Get it, and the key, from who made it."
        ) from error
    if statement.predicateType != _type_of(receipts.KIND):
        return Believed(statement)
    if audit_key is None:
        raise UsageError(
            "The receipt also proves that the audit log has the leaving.",
            why="Without the key that signs the log this cannot be checked.",
            todo="Give --audit-key FILE: the deployment's secrets/checkpoint-signing.pub.",
        )
    return Believed(statement, receipts.check(statement, inputs.file(audit_key)))


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
