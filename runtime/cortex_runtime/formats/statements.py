"""Signed statements: in-toto Statements (v1) in DSSE envelopes (secure-systems-lab/dsse, v1), Ed25519.

Whoever has the file and the public key can check one; nothing else is needed.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cortex_runtime.formats import decoding

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_BYTES = 64 << 20


class StatementError(ValueError):
    """It is no signed statement, or not signed by this key."""


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payloadType: str  # noqa: N815 - the format's own name
    payload: str
    signatures: list[_Signature]


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about: a name, and digests of its content if it has any."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What is stated of its subjects; `predicateType` tells what `predicate` holds."""

    _type: str = STATEMENT_TYPE
    subject: list[Subject]
    predicateType: str  # noqa: N815
    predicate: dict[str, Any]


def sign(statement: Statement, private_pem: bytes) -> bytes:
    """Return the envelope (JSON) of a statement. `private_pem` is a PKCS 8 PEM of an Ed25519 key."""
    key = serialization.load_pem_private_key(private_pem, None)
    if not isinstance(key, Ed25519PrivateKey):
        raise StatementError("the key is not an Ed25519 key")
    payload = msgspec.json.encode(statement)
    envelope = _Envelope(
        payloadType=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode(),
        signatures=[
            _Signature(_key_id(key.public_key()), base64.b64encode(key.sign(_pae(payload))).decode())
        ],
    )
    return msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n"


def verify(content: bytes, public_pem: bytes) -> Statement:
    """Return the statement of an envelope that this key has signed. Raises StatementError."""
    if len(content) > MAX_BYTES:
        raise StatementError(f"it has more than {MAX_BYTES} bytes")
    try:
        key = serialization.load_pem_public_key(public_pem)
        envelope = msgspec.json.decode(content, type=_Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(one.sig, validate=True) for one in envelope.signatures]
    except (ValueError, RecursionError) as error:
        raise StatementError(f"it is no envelope: {error}") from None
    if not isinstance(key, Ed25519PublicKey) or envelope.payloadType != PAYLOAD_TYPE:
        raise StatementError("it is of another type, or the key is")
    if not any(_signed(key, signature, payload) for signature in signatures):
        raise StatementError("it is not signed by this key")
    try:
        return msgspec.json.decode(payload, type=Statement)
    except (ValueError, RecursionError) as error:
        raise StatementError(f"what is signed is no statement: {error}") from None


def _signed(key: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    try:
        key.verify(signature, _pae(payload))
    except InvalidSignature:
        return False
    return True


def _pae(payload: bytes) -> bytes:
    """Return the pre-authentication encoding: what is signed."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


decoding.learn(globals())
