"""The token keys of this node's region, read again when their files change."""

from __future__ import annotations

import time
from pathlib import Path

from cortex_runtime.formats.tokenkeys import TokenKey, TokenKeys, TokenKeysError, parse


class TokenKeyFile:
    """The keys of one issuer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._keys: TokenKeys | None = None

    def current(self) -> TokenKeys:
        """Return the keys. Raises TokenKeysError when there never was a whole file."""
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if self._keys is None or stamp != self._stamp:
                self._keys, self._stamp = parse(self._path.read_bytes()), stamp
        except (OSError, TokenKeysError) as error:
            if self._keys is None:
                raise TokenKeysError(f"{self._path}: {error}") from error
        return self._keys


def finder(*files: TokenKeyFile) -> dict[str, TokenKey]:
    """Return the keys of all files by their ids. Raises TokenKeysError."""
    return {key.kid: key for file in files for key in file.current().keys}


def believed(*files: TokenKeyFile) -> list[str]:
    """Return the ids of the keys whose tokens are believed now. Raises TokenKeysError."""
    return [kid for kid, key in finder(*files).items() if key.verifies(time.time())]
