"""A node's certificate: taken up when its file is replaced, and watched for its end.

The file is looked at every few seconds. What it holds is checked before anything is told of it, so that a
pair that does not fit, or a file that is just being written, leaves the node with what it has.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography import x509

from cortex_runtime.config import TlsConfig

PERIOD = 2.0
EXPIRING = datetime.timedelta(days=7)
log = structlog.get_logger()


class Identity:
    """What a node proves itself with; `take_up` is called in the event loop when there is another."""

    def __init__(self, tls: TlsConfig, take_up: Callable[[], None]) -> None:
        self._tls, self._take_up = tls, take_up
        self._seen = _state(tls)
        self._ends = read(tls.certificate).not_valid_after_utc

    async def watch(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            self.look()

    def look(self) -> None:
        """Take up a pair that is new, fits and is valid."""
        try:
            state = _state(self._tls)
            if state == self._seen:
                return
            found = check(self._tls)
            self._take_up()
        except (OSError, ValueError) as error:
            log.warning("certificate not taken up", why=str(error))
            return
        self._seen, self._ends = state, found.not_valid_after_utc
        log.info("certificate taken up", serial=f"{found.serial_number:x}", ends=self._ends.isoformat())

    @property
    def expired(self) -> bool:
        """True when nobody who checks it believes this node any longer."""
        return self._ends <= _now()

    def warnings(self) -> list[str]:
        """Return what there is to say about the end of the certificate; nothing while that is far."""
        left = self._ends - _now()
        if left > EXPIRING:
            return []
        if self.expired:
            return [f"certificate: expired at {self._ends:%Y-%m-%d %H:%M} UTC"]
        return [f"certificate: expires in {left.total_seconds() / 86400:.1f} days"]


def read(path: Path) -> x509.Certificate:
    """Return the first certificate of a file. Raises OSError or ValueError."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def check(tls: TlsConfig) -> x509.Certificate:
    """Return a certificate that fits its key, is the CA's and is valid. Raises OSError or ValueError."""
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.load_cert_chain(tls.certificate, tls.key)  # says whether the key is the certificate's
    found = read(tls.certificate)
    try:
        found.verify_directly_issued_by(read(tls.ca))
    except Exception as error:
        raise ValueError("it is not of this deployment's CA") from error
    if not found.not_valid_before_utc <= _now() < found.not_valid_after_utc:
        raise ValueError("it is not valid now")
    return found


def _state(tls: TlsConfig) -> tuple[tuple[int, int], ...]:
    """Return what tells a replaced file from the one before."""
    found = (path.stat() for path in (tls.certificate, tls.key))
    return tuple((one.st_ino, one.st_mtime_ns) for one in found)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
