"""Proofs on their own: that an event is in a log, and that a log has grown out of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cortex_runtime.client import Client
from cortex_runtime.formats import checkpoint as checkpoints
from cortex_runtime.formats import merkle
from cortex_runtime.formats.checkpoint import Checkpoint, CheckpointError
from cortex_runtime.formats.merkle import ProofError
from cortex_runtime.formats.messages import AuditConsistency, AuditEvent, AuditInclusion
from cortexctl.audit import verifying
from cortexctl.errors import ObjectiveMissed, Refused, UsageError

Proof = AuditInclusion | AuditConsistency
_PROOF: msgspec.json.Decoder[Proof] = msgspec.json.Decoder(Proof)


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof proves."""

    proves: str
    tenant: str
    size: int
    event: AuditEvent | None = None


def inclusion(client: Client, event: str) -> AuditInclusion:
    """Return what proves that an event is in its log. Raises ClientError."""
    return client.request("GET", f"/v1/audit/proof?event={event}", type=AuditInclusion)


def consistency(client: Client, earlier: Path, public_key: bytes) -> AuditConsistency:
    """Return what proves that a log has grown out of the one of a checkpoint. Raises ClientError."""
    old = verifying.read_checkpoint(earlier, public_key)
    path = f"/v1/audit/consistency?tenant={old.origin.rpartition('/')[2]}&first={old.size}"
    return client.request("GET", path, type=AuditConsistency)


def check(file: Path, public_key: bytes, earlier: list[Path]) -> Proven:
    """Check a proof's file; that of growth needs the earlier checkpoint.

    Raises ObjectiveMissed when it proves nothing, Refused or UsageError when files are missing.
    """
    proof = _read(file)
    with _proving(str(file)):
        if isinstance(proof, AuditInclusion):
            return _check_inclusion(proof, public_key)
        head = checkpoints.read(proof.checkpoint, public_key)
        if len(earlier) != 1:
            raise UsageError(
                "This proof is about an earlier checkpoint.", why="None, or more than one, is given.",
                todo="Give --checkpoint FILE.",
            )  # fmt: skip
        return _check_consistency(proof, head, verifying.read_checkpoint(earlier[0], public_key))


def check_inclusion(proof: AuditInclusion, public_key: bytes) -> Proven:
    """Check a proof that an event is in its log. Raises ObjectiveMissed when it proves nothing."""
    with _proving("The proof"):
        return _check_inclusion(proof, public_key)


@contextmanager
def _proving(what: str) -> Iterator[None]:
    try:
        yield
    except (ProofError, CheckpointError, ValueError) as error:
        raise ObjectiveMissed(
            f"{what} proves nothing.", why=str(error), todo="Ask for another by cortexctl audit prove."
        ) from error


def _check_inclusion(proof: AuditInclusion, public_key: bytes) -> Proven:
    head = checkpoints.read(proof.checkpoint, public_key)
    segment, tenant = proof.segment, head.origin.rpartition("/")[2]
    merkle.check_inclusion(
        bytes.fromhex(segment.hash),
        segment.leaf,
        head.size,
        list(map(bytes.fromhex, proof.hashes)),
        head.root,
    )
    id_, _, number = proof.event.partition(".")
    if id_ != segment.id or not (number.isascii() and number.isdecimal() and int(number) < segment.events):
        raise ProofError(f"event {proof.event} is not one of segment {segment.id}")
    if segment.content is None:
        return Proven("the segment is in the log; its content expired", tenant, head.size)
    event = verifying.opened(segment, tenant)[int(number)]
    shown = AuditEvent.of(event, segment.id, int(number), segment.first_event)
    return Proven("the event is in the log", tenant, head.size, shown)


def _check_consistency(proof: AuditConsistency, head: Checkpoint, earlier: Checkpoint) -> Proven:
    if earlier.origin != head.origin or earlier.size != proof.first:
        raise ProofError(f"the earlier checkpoint is of {earlier.size} segments of {earlier.origin}")
    hashes = list(map(bytes.fromhex, proof.hashes))
    merkle.check_consistency(earlier.size, earlier.root, head.size, head.root, hashes)
    tenant = head.origin.rpartition("/")[2]
    return Proven(f"the log has grown out of its first {earlier.size} segments", tenant, head.size)


def _read(file: Path) -> Proof:
    try:
        return _PROOF.decode(file.read_bytes())
    except OSError as error:
        raise Refused(f"{file} cannot be read.", why=str(error), todo="Name a proof's file.") from error
    except ValueError as error:
        raise ObjectiveMissed(
            f"{file} is no proof.", why=str(error), todo="Ask for one by cortexctl audit prove."
        ) from error
