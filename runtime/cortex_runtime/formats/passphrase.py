"""A key sealed by a passphrase: scrypt (RFC 7914) gives the key of AES-256-GCM.

The parameters stand with what is sealed, so that they can grow; those that would take a machine's memory
are refused before anything is computed.
"""

from __future__ import annotations

import os
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cortex_runtime.formats import decoding

LOG_N, R, P = 17, 8, 1  # 128 MiB and a third of a second
LIMITS = (20, 8, 4)
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32


class WrongPassphraseError(ValueError):
    """The passphrase does not open it, or it is damaged: the two look alike."""


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sealed, and how its key is derived: n = 2 ** log_n, r, p, salt."""

    log_n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes
    sealed: bytes


def seal(plain: bytes, place: bytes, passphrase: bytes) -> Seal:
    """Return `plain` sealed by a passphrase; `place` must be the same when it is opened."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    key = _derive(passphrase, salt, LOG_N, R, P)
    return Seal(
        log_n=LOG_N, r=R, p=P, salt=salt, nonce=nonce, sealed=AESGCM(key).encrypt(nonce, plain, place)
    )


def open_seal(sealed: Seal, place: bytes, passphrase: bytes) -> bytes:
    """Return what a passphrase sealed. Raises WrongPassphraseError."""
    chosen = (sealed.log_n, sealed.r, sealed.p)
    if any(not 1 <= value <= limit for value, limit in zip(chosen, LIMITS, strict=True)):
        raise WrongPassphraseError("its parameters are out of bounds")
    try:
        key = _derive(passphrase, sealed.salt, *chosen)
        return AESGCM(key).decrypt(sealed.nonce, sealed.sealed, place)
    except (InvalidTag, ValueError):
        raise WrongPassphraseError("the passphrase does not open it") from None


@lru_cache(maxsize=16)
def _derive(passphrase: bytes, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=1 << log_n, r=r, p=p).derive(passphrase)


decoding.learn(globals())
