"""The secret of whoever collects metrics.

A scraper keeps what it shows in its own configuration, and cannot ask for a token every five minutes. So it
has a secret of its own, good for what the role `scraper` may do (policies/rbac.yaml) and nothing else.
"""

from __future__ import annotations

import hmac
from pathlib import Path

import structlog

ROLE = "scraper"
SHORTEST = 32  # characters: fewer could be guessed
log = structlog.get_logger()


class Scraper:
    """The secret in a file, read again when that changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._secret = b""

    def shown(self, authorization: str) -> bool:
        """Tell whether an Authorization header shows the secret; False while there is none that does."""
        self._renew()
        scheme, _, secret = authorization.partition(" ")
        given = secret.encode("utf-8", "replace")
        return bool(self._secret) and scheme.lower() == "bearer" and hmac.compare_digest(given, self._secret)

    def _renew(self) -> None:
        """Read the file if it changed; what was there before stays good while it cannot be read."""
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if stamp == self._stamp:
                return
            secret = self._path.read_bytes().strip()
        except OSError as error:
            log.warning("the scraper's secret cannot be read", why=str(error))
            return
        self._stamp = stamp
        if len(secret) < SHORTEST:
            log.warning("the scraper's secret is too short", shortest=SHORTEST)
            secret = b""
        self._secret = secret
