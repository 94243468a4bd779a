"""What a node says of a request that it passes on to another: that it has counted and audited it already.

Whoever says so is neither counted nor audited again, so it is signed (HMAC-SHA256) with a key that only nodes
have. The signature is over the request it comes with and the time, so that it is of no use with another one.
"""

from __future__ import annotations

import base64
import hmac
import time

from cortex_runtime.formats.framing import framed
from cortex_runtime.security.tokenkeys import TokenKeyFile

HEADER = "cortex-forwarded-by"
MAX_AGE = 30.0  # seconds: a hop takes 5 at most, and clocks differ


class InvalidHop(ValueError):
    """The header was not made by a node of this deployment for this request, now."""


class Hops:
    """Signs and checks the header, NODE,MILLISECONDS,MAC."""

    def __init__(self, node: str, keys: TokenKeyFile) -> None:
        self._node, self._keys = node, keys

    def sign(self, *request: str) -> str:
        """Return the header for a request, given by what it consists of. Raises TokenKeysError."""
        said = f"{self._node},{time.time_ns() // 1_000_000}"
        return f"{said},{self._mac(said, request)}"

    def check(self, header: str, *request: str) -> None:
        """Raise InvalidHop unless a node said this of this request, or TokenKeysError."""
        said, _, mac = header.rpartition(",")
        if not hmac.compare_digest(mac.encode(), self._mac(said, request).encode()):
            raise InvalidHop("the hop is not signed by a node")
        if abs(time.time() - int(said.rpartition(",")[2]) / 1000) > MAX_AGE:
            raise InvalidHop("the hop was signed too long ago")

    def _mac(self, said: str, request: tuple[str, ...]) -> str:
        secret = base64.b64decode(self._keys.current().derivation)
        key = hmac.digest(secret, b"cortexkg forwarding", "sha256")
        return hmac.digest(key, framed(said, *request), "sha256").hex()
