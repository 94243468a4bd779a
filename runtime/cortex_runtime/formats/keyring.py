"""The keyring file: the root key and, wrapped by it, the key-encryption keys of the tenants.

JSON, mode 0600, one copy in each region. `generation` grows by one with every change, so that the
newest copy is known. A tenant's key is wrapped by AES-256-GCM (NIST SP 800-38D) under the root key,
with root id, tenant and version as associated data: a key moved to another tenant does not open.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cortex_runtime.formats import decoding
from cortex_runtime.formats.framing import framed

FORMAT = "cortexkg-keyring-1"
KEY_BYTES = 32
NONCE_BYTES = 12


class KeyringError(ValueError):
    """The keyring is damaged, or has no such key."""


class TenantKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a tenant's key-encryption key; `wrapped` is nonce and ciphertext in base64."""

    version: int
    wrapped: str


class Keyring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A keyring. Immutable: a change gives a new one of the next generation.

    `former_roots` are the ids of the root keys before this one: a copy by one is older, not another's.
    """

    format: str
    generation: int
    root_id: str
    root_key: str
    tenants: dict[str, list[TenantKey]]
    former_roots: list[str] = []

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    def with_tenant(self, tenant: str) -> Keyring:
        """Return this keyring, or the next generation with a first key for a tenant that has none."""
        if tenant in self.tenants:
            return self
        key = TenantKey(version=1, wrapped=self._wrap(tenant, 1, secrets.token_bytes(KEY_BYTES)))
        return msgspec.structs.replace(
            self, generation=self.generation + 1, tenants={**self.tenants, tenant: [key]}
        )

    def without_tenant(self, tenant: str) -> Keyring:
        """Return this keyring, or the next generation without the keys of a tenant that has some.

        The others are wrapped anew by a new root key: who has a copy of this keyring, and comes by the next
        ones, opens nothing of the tenant with them.
        """
        if tenant not in self.tenants:
            return self
        return self._rerooted(other for other in self.tenants if other != tenant)

    def rerooted(self) -> Keyring:
        """Return the next generation, with a new root key."""
        return self._rerooted(self.tenants)

    def _rerooted(self, tenants: Iterable[str]) -> Keyring:
        following = msgspec.structs.replace(
            self, generation=self.generation + 1, root_id=secrets.token_hex(8), root_key=_new_root_key(),
            former_roots=[*self.former_roots, self.root_id],
        )  # fmt: skip
        wrapped = {
            tenant: [
                TenantKey(
                    version=key.version,
                    wrapped=following._wrap(tenant, key.version, self._unwrap(tenant, key)),
                )
                for key in self.tenants[tenant]
            ]
            for tenant in tenants
        }
        return msgspec.structs.replace(following, tenants=wrapped)

    def tenant_key(self, tenant: str, version: int | None = None) -> tuple[int, bytes]:
        """Return version and key-encryption key (32 bytes) of a tenant, the newest unless named.

        Raises KeyringError when there is none, or when it does not open.
        """
        for key in reversed(self.tenants.get(tenant, [])):
            if version in (None, key.version):
                return key.version, self._unwrap(tenant, key)
        raise KeyringError(f"the keyring has no key of tenant {tenant}")

    def _wrap(self, tenant: str, version: int, key: bytes) -> str:
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(_decode(self.root_key)).encrypt(nonce, key, self._place(tenant, version))
        return base64.b64encode(nonce + sealed).decode()

    def _unwrap(self, tenant: str, key: TenantKey) -> bytes:
        wrapped = _decode(key.wrapped)
        try:
            return AESGCM(_decode(self.root_key)).decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._place(tenant, key.version)
            )
        except (InvalidTag, ValueError):
            raise KeyringError(f"the key of tenant {tenant} does not open") from None

    def _place(self, tenant: str, version: int) -> bytes:
        return framed(self.root_id, tenant, version)


def new_keyring() -> bytes:
    """Return the content of a new keyring file of generation 1 without tenants."""
    return Keyring(
        format=FORMAT,
        generation=1,
        root_id=secrets.token_hex(8),
        root_key=_new_root_key(),
        tenants={},
    ).to_bytes()


def parse(content: bytes) -> Keyring:
    """Read a keyring file's content. Raises KeyringError."""
    try:
        keyring = msgspec.json.decode(content, type=Keyring)
        usable = keyring.format == FORMAT and len(_decode(keyring.root_key)) == KEY_BYTES
    except ValueError as error:
        raise KeyringError(f"the keyring is damaged: {error}") from None
    if not usable:
        raise KeyringError(f"the keyring is not of format {FORMAT}")
    return keyring


def _new_root_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


decoding.learn(globals())
