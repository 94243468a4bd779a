"""What wraps the keys of tenants: the keyring file, or AWS KMS, whose keys never leave it.

file:///var/lib/keyring.json                       a keyring file of this machine
file:///var/lib/keyring.json?passphrase=/a/file    … that a passphrase may seal; may be given twice
kms://eu-west-1                                    AWS KMS of a region; credentials as boto3 finds them
kms://eu-west-1?endpoint=https://host:4566&credentials=/a/file&owner=default-1a2b
                                                   … elsewhere; with the credentials of a file in AWS' form;
                                                   with the keys of this owner instead of the deployment
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cortex_runtime.security.keyring import KeyringFile


class KekProvider(Protocol):
    """Wraps and unwraps keys by a tenant's key-encryption key, which has versions.

    `kind` and `version` say which key it is; it unwraps as nothing else, and as no other tenant's. All calls
    raise KeyringError when there is no such key-encryption key, or none to be had now.
    """

    is_quick: bool  # a call takes microseconds, and may be made on the event loop

    def newest(self, tenant: str) -> int:
        """Return the newest version of a tenant's key-encryption key."""

    def wrap(self, tenant: str, kind: str, version: int, key: bytes) -> tuple[int, bytes]:
        """Return the newest version of a tenant's key-encryption key, and a key wrapped by it."""

    def unwrap(self, tenant: str, kind: str, version: int, kek_version: int, wrapped: bytes) -> bytes:
        """Return a wrapped key. Raises CannotOpen, too, when it is not what was wrapped."""

    def renew(self) -> None:
        """Look whether the keys changed; to be called from a thread, now and then."""


def check(url: str) -> str:
    """Return the URL of a provider. Raises ValueError when it is none."""
    parts = urlsplit(url)
    is_file = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not is_file and not (parts.scheme == "kms" and parts.netloc and not parts.path.strip("/")):
        raise ValueError(f"{url!r} gives no keys: file:///keyring.json or kms://region")
    return url


def open_provider(url: str, deployment: str) -> KekProvider:
    """Return the provider of a URL. Raises ValueError when it is none."""
    parts = urlsplit(check(url))
    query = parse_qs(parts.query)
    if parts.scheme == "file":
        return KeyringFile(Path(unquote(parts.path)), tuple(map(Path, query.get("passphrase", ()))))
    from cortex_runtime.security.kms import Kms, client  # noqa: PLC0415 - boto3 takes its time to load

    endpoint, credentials, owner = (
        query.get(name, [default])[0]
        for name, default in (("endpoint", None), ("credentials", None), ("owner", deployment))
    )
    return Kms(owner or deployment, partial(client, parts.netloc, endpoint, credentials))
