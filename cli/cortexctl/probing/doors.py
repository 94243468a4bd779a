"""Front doors that are known by their URL alone: of a cluster that this machine has no directory of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cortex_runtime.client import Client
from cortexctl import access, inputs
from cortexctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Door:
    """A front door, and the certificates that whoever asks it trusts."""

    url: str
    ca: Path

    @property
    def place(self) -> tuple[str, int]:
        """Its host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 443

    def tenant(self, name: str, key: str, *, timeout: float) -> Client:
        """Return a client that has logged in with a tenant's API key. Raises ClientError."""
        with Client(self.url, ca=self.ca, timeout=timeout, deadline=timeout) as client:
            token = access.log_in(client, name, key).token
        return Client(self.url, ca=self.ca, token=token, timeout=timeout, deadline=0)


def of_urls(urls: Sequence[str], ca: Path | None) -> tuple[Door, ...]:
    """Return the doors at these URLs. Raises UsageError."""
    if ca is None:
        raise UsageError(
            "--url needs --ca.",
            why="Without the CA's certificate nobody can tell the service from another.",
            todo="Give the file: kubectl get secret has it as ca.crt beside the front door's certificate.",
        )
    inputs.file(ca)
    for url in urls:
        _check(url)
    return tuple(Door(url.rstrip("/"), ca) for url in urls)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/") or parts.query or parts.username:
        raise UsageError(
            f"{url!r} is no URL of a front door.",
            why="It must be https://HOST or https://HOST:PORT.",
            todo="Give it as clients have it.",
        )
