"""Checkpoints: a tree's size and root, signed, as text that fits on a page.

The form is C2SP's tlog-checkpoint in a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note): origin,
size, root in base64, an empty line, and a signature by Ed25519 (RFC 8032).

    cortexkg/default/acme
    1742
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — cortexkg/default q2D0Iwx…
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.formats.merkle import HASH_BYTES

MAX_BYTES = 4096
_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_NOTE = re.compile(
    r"(?P<body>(?P<origin>[!-~]{1,256})\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    r"\n(?P<signatures>(?:\u2014 [!-~]+ [A-Za-z0-9+/]+={0,2}\n)+)"
)


class CheckpointError(ValueError):
    """The text is no checkpoint, or not signed by the key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> bytes:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def origin_of(deployment: str, tenant: str) -> str:
    """Return the origin of a tenant's log."""
    return f"{key_name_of(deployment)}/{tenant or NO_TENANT}"


def key_name_of(deployment: str) -> str:
    """Return the name under which a deployment's key signs."""
    return f"cortexkg/{deployment}"


class Signer:
    """Signs the checkpoints of a deployment."""

    def __init__(self, private_pem: bytes, name: str) -> None:
        key = serialization.load_pem_private_key(private_pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the checkpoint signing key is not one of Ed25519")
        self._key, self._name = key, name
        self._id = _key_id(name, key.public_key())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed text."""
        signature = base64.b64encode(self._id + self._key.sign(checkpoint.body)).decode()
        return f"{checkpoint.body.decode()}\n\u2014 {self._name} {signature}\n"


def read(text: str, public_pem: bytes) -> Checkpoint:
    """Return what a checkpoint says that this key signed, maybe among others. Raises CheckpointError."""
    found = _NOTE.fullmatch(text) if len(text) <= MAX_BYTES else None
    if found is None:
        raise CheckpointError("it has not the form of a checkpoint")
    root = base64.b64decode(found["root"])
    checkpoint = Checkpoint(found["origin"], int(found["size"]), root)
    if len(root) != HASH_BYTES or checkpoint.body != found["body"].encode():
        raise CheckpointError("it has not the form of a checkpoint")
    key = _public_key(public_pem)
    if not any(_is_by(key, checkpoint.body, line) for line in found["signatures"].splitlines()):
        raise CheckpointError("no signature of it is by the key")
    return checkpoint


def _is_by(key: Ed25519PublicKey, body: bytes, line: str) -> bool:
    _, name, encoded = line.split(" ")
    try:
        signature = base64.b64decode(encoded, validate=True)
        key.verify(signature[_KEY_ID_BYTES:], body)
    except (ValueError, InvalidSignature):
        return False
    return signature[:_KEY_ID_BYTES] == _key_id(name, key)


def _public_key(pem: bytes) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise CheckpointError(f"the public key is damaged: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise CheckpointError("the public key is not one of Ed25519")
    return key


def _key_id(name: str, key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:_KEY_ID_BYTES]
