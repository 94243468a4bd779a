"""Sealing of records: a key derived for each record, AES-256-GCM with key commitment.

    suite 2 B | key version 4 B | salt 24 B | commitment 32 B | ciphertext | tag 16 B

HKDF-SHA512 (RFC 5869) of the data key with the random salt gives the record's key and a commitment to
it. The record key is used once, so its nonce is zero (NIST SP 800-38D asks for uniqueness per key). The
associated data names the record's place; a record that was moved anywhere else does not open.
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cortex_runtime.formats.framing import framed

_framed = lru_cache(maxsize=4096)(framed)  # of tenants, tables and fields: few, and asked for by every record

SUITE = 1
SALT_BYTES = 24
KEY_BYTES = 32
NONCE = bytes(12)
_HEAD = struct.Struct(">HI")
_LENGTH = struct.Struct(">I")
_VERSIONS = struct.Struct(">IqIq")
_INFO = b"cortexkg-seal-1"
_BODY = _HEAD.size + SALT_BYTES + KEY_BYTES  # where the ciphertext begins
OVERHEAD = _BODY + 16


class CannotOpen(ValueError):
    """A record does not open. Why is not told apart: altered, moved, cut, another key."""

    def __init__(self) -> None:
        super().__init__("the record does not open")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: what binds its ciphertext to one row and field."""

    tenant: str
    table: str
    record: bytes
    field: str = "entry"
    version: int = 0

    def associated_data(self, key_version: int) -> bytes:
        """Return the place, length-prefixed."""
        record, field = _LENGTH.pack(len(self.record)), _framed(self.field)
        versions = _VERSIONS.pack(8, self.version, 8, key_version)
        return b"".join((_framed(self.tenant, self.table), record, self.record, field, versions))


def seal(key: bytes, key_version: int, place: Place, plain: bytes) -> bytes:
    """Return the sealed record of `plain` under a data key (32 bytes) of this version."""
    salt = os.urandom(SALT_BYTES)
    record_key, commitment = _derive(key, salt)
    body = AESGCM(record_key).encrypt(NONCE, plain, place.associated_data(key_version))
    return _HEAD.pack(SUITE, key_version) + salt + commitment + body


def key_version_of(sealed: bytes | memoryview) -> int:
    """Return the data key's version that a record names. Raises CannotOpen."""
    if len(sealed) < OVERHEAD:
        raise CannotOpen
    suite, version = _HEAD.unpack_from(sealed)
    if suite != SUITE:
        raise CannotOpen
    return int(version)


def unseal(key: bytes, place: Place, sealed: bytes) -> bytes:
    """Return the plain bytes of a sealed record. Raises CannotOpen."""
    version = key_version_of(sealed)
    salt = sealed[_HEAD.size : _HEAD.size + SALT_BYTES]
    start = _HEAD.size + SALT_BYTES
    record_key, commitment = _derive(key, salt)
    if not hmac.compare_digest(commitment, sealed[start : start + KEY_BYTES]):
        raise CannotOpen
    try:
        return AESGCM(record_key).decrypt(NONCE, sealed[start + KEY_BYTES :], place.associated_data(version))
    except InvalidTag:
        raise CannotOpen from None


def seal_into(key: bytes, key_version: int, place: Place, plain: memoryview, out: memoryview) -> None:
    """Seal `plain` into `out`, which is OVERHEAD bytes longer: for big records, that nothing is copied."""
    salt = os.urandom(SALT_BYTES)
    record_key, commitment = _derive(key, salt)
    out[:_BODY] = _HEAD.pack(SUITE, key_version) + salt + commitment
    AESGCM(record_key).encrypt_into(NONCE, plain, place.associated_data(key_version), out[_BODY:])


def unseal_into(key: bytes, place: Place, sealed: memoryview, out: memoryview) -> None:
    """Open a record into `out`, which is OVERHEAD bytes shorter. Raises CannotOpen; `out` is garbage then."""
    version = key_version_of(sealed)
    if len(out) != len(sealed) - OVERHEAD:
        raise CannotOpen
    record_key, commitment = _derive(key, bytes(sealed[_HEAD.size : _HEAD.size + SALT_BYTES]))
    if not hmac.compare_digest(commitment, sealed[_BODY - KEY_BYTES : _BODY]):
        raise CannotOpen
    try:
        AESGCM(record_key).decrypt_into(NONCE, sealed[_BODY:], place.associated_data(version), out)
    except InvalidTag:
        raise CannotOpen from None


def _derive(key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    block = HKDF(SHA512(), 2 * KEY_BYTES, salt, _INFO).derive(key)
    return block[:KEY_BYTES], block[KEY_BYTES:]
