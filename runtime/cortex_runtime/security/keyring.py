"""Key-encryption keys from the region's keyring file, read again when the file changes."""

from __future__ import annotations

from pathlib import Path

from cortex_runtime.formats.keyring import Keyring, KeyringError, parse


class KeyringFile:
    """A provider of key-encryption keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._keyring: Keyring | None = None

    def tenant_key(self, tenant: str, version: int | None = None) -> tuple[int, bytes]:
        """Return version and key (32 bytes), the newest unless named. Raises KeyringError."""
        return self._current().tenant_key(tenant, version)

    def _current(self) -> Keyring:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if self._keyring is None or stamp != self._stamp:
                self._keyring, self._stamp = parse(self._path.read_bytes()), stamp
        except OSError as error:
            raise KeyringError(f"the keyring cannot be read: {error}") from error
        return self._keyring
