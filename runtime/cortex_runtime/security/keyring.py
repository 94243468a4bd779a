"""Key-encryption keys from the region's keyring file, read again when the file changes."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import Keyring, KeyringError, KeyringSealed, parse, seal_of
from cortex_runtime.security.envelope import CannotOpen

NONCE_BYTES = 12


class KeyringFile:
    """A provider of key-encryption keys (see security.providers).

    A new seal takes a third of a second to open: until `renew` has done that, the keyring before it serves.
    """

    is_quick = True

    def __init__(self, path: Path, passphrases: tuple[Path, ...] = ()) -> None:
        self._path, self._passphrases = path, passphrases
        self._stamp = (0, 0)
        self._keyring: Keyring | None = None

    def newest(self, tenant: str) -> int:
        """Return the newest version of a tenant's key. Raises KeyringError."""
        return self._current().tenant_key(tenant)[0]

    def wrap(self, tenant: str, kind: str, version: int, key: bytes) -> tuple[int, bytes]:
        """Return the newest version of a tenant's key, and a key wrapped by it. Raises KeyringError."""
        kek_version, kek = self._current().tenant_key(tenant)
        nonce, place = os.urandom(NONCE_BYTES), framed(kind, tenant, version, kek_version)
        return kek_version, nonce + AESGCM(kek).encrypt(nonce, key, place)

    def unwrap(self, tenant: str, kind: str, version: int, kek_version: int, wrapped: bytes) -> bytes:
        """Return a wrapped key. Raises KeyringError, or CannotOpen when it is not what was wrapped."""
        _, kek = self._current().tenant_key(tenant, kek_version)
        place = framed(kind, tenant, version, kek_version)
        try:
            return AESGCM(kek).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise CannotOpen from None

    def renew(self) -> None:
        """Read the file if it changed. Raises KeyringError."""
        content, stamp = self._read()
        if content is not None:
            self._keyring, self._stamp = parse(content, self._secrets()), stamp

    def _current(self) -> Keyring:
        if self._keyring is None:
            self.renew()
        elif (read := self._read())[0] is not None:
            seal = seal_of(read[0])
            if seal is None or seal == self._keyring.root_seal:
                self._keyring, self._stamp = parse(read[0], self._secrets()), read[1]
        assert self._keyring is not None
        return self._keyring

    def _read(self) -> tuple[bytes | None, tuple[int, int]]:
        """Return the file's content, None when it is what was read before, and its stamp."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            known = self._keyring is not None and stamp == self._stamp
            return None if known else self._path.read_bytes(), stamp
        except OSError as error:
            raise KeyringError(f"the keyring cannot be read: {error}") from error

    def _secrets(self) -> list[bytes]:
        found = []
        for path in self._passphrases:
            try:
                found.append(path.read_bytes().rstrip(b"\r\n"))
            except FileNotFoundError:
                continue  # one of them is there while the passphrase is being changed alone
            except OSError as error:
                raise KeyringSealed(f"the keyring's passphrase cannot be read: {error}") from error
        return found
