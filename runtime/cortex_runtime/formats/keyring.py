"""The keyring file: the root key and, wrapped by it, the key-encryption keys of the tenants.

JSON, mode 0600, one copy in each region. `generation` grows by one with every change, so that the
newest copy is known. A tenant's key is wrapped by AES-256-GCM (NIST SP 800-38D) under the root key,
with root id, tenant and version as associated data: a key moved to another tenant does not open.

The root key stands in the file, or, sealed by a passphrase, does not (see formats.passphrase).
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cortex_runtime.formats import decoding
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.passphrase import Seal, WrongPassphraseError, open_seal, seal

FORMAT = "cortexkg-keyring-1"
KEY_BYTES = 32
NONCE_BYTES = 12


class KeyringError(ValueError):
    """The keyring is damaged, does not open, or has no such key."""


class KeyringSealed(KeyringError):
    """The keyring is sealed, and not by a passphrase that was given."""


class TenantKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a tenant's key-encryption key; `wrapped` is nonce and ciphertext in base64.

    `made_at` is empty of those from before it was written down.
    """

    version: int
    wrapped: str
    made_at: str = ""


class Keyring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A keyring. Immutable: a change gives a new one of the next generation.

    `former_roots` are the ids of the root keys before this one: a copy by one is older, not another's.
    In a file whose `root_seal` is there, `root_key` is empty.
    """

    format: str
    generation: int
    root_id: str
    root_key: str
    tenants: dict[str, list[TenantKey]]
    former_roots: list[str] = []
    root_made_at: str = ""
    root_seal: Seal | None = None

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        written = self if self.root_seal is None else msgspec.structs.replace(self, root_key="")
        return msgspec.json.format(msgspec.json.encode(written), indent=1)

    def with_tenant(self, tenant: str) -> Keyring:
        """Return this keyring, or the next generation with a first key for a tenant that has none."""
        if tenant in self.tenants:
            return self
        return self._with_keys(tenant, [self._new_key(tenant, 1)])

    def with_next_key(self, tenant: str) -> Keyring:
        """Return the next generation, with a further key-encryption key of a tenant. Raises KeyringError."""
        version, _ = self.tenant_key(tenant)
        return self._with_keys(tenant, [*self.tenants[tenant], self._new_key(tenant, version + 1)])

    def without_keys(self, tenant: str, kept: Iterable[int]) -> Keyring:
        """Return this keyring, or the next generation with a tenant's newest key and these alone."""
        keys = self.tenants.get(tenant, [])
        staying = [key for key in keys if key is keys[-1] or key.version in kept]
        return self if staying == keys else self._with_keys(tenant, staying)

    def without_tenant(self, tenant: str, passphrase: bytes | None = None) -> Keyring:
        """Return this keyring, or the next generation without the keys of a tenant that has some.

        The others are wrapped anew by a new root key: who has a copy of this keyring, and comes by the next
        ones, opens nothing of the tenant with them. Raises KeyringSealed as `rerooted`.
        """
        if tenant not in self.tenants:
            return self
        return self._rerooted((other for other in self.tenants if other != tenant), passphrase)

    def rerooted(self, passphrase: bytes | None = None) -> Keyring:
        """Return the next generation, with a new root key, sealed by the passphrase if this one's is.

        Raises KeyringSealed when there is no passphrase then.
        """
        return self._rerooted(self.tenants, passphrase)

    def sealed(self, passphrase: bytes) -> Keyring:
        """Return this keyring, or the next generation, whose root key a passphrase seals."""
        if self.root_seal is not None and _opens(self.root_seal, self.root_id, passphrase):
            return self
        return msgspec.structs.replace(
            self, generation=self.generation + 1, root_seal=_sealed(self.root_key, self.root_id, passphrase)
        )

    def tenant_key(self, tenant: str, version: int | None = None) -> tuple[int, bytes]:
        """Return version and key-encryption key (32 bytes) of a tenant, the newest unless named.

        Raises KeyringError when there is none, or when it does not open.
        """
        for key in reversed(self.tenants.get(tenant, [])):
            if version in (None, key.version):
                return key.version, self._unwrap(tenant, key)
        raise KeyringError(f"the keyring has no key of tenant {tenant}")

    def _rerooted(self, tenants: Iterable[str], passphrase: bytes | None) -> Keyring:
        root_id, root_key = secrets.token_hex(8), _new_root_key()
        if self.root_seal is not None and passphrase is None:
            raise KeyringSealed("a new root key needs the passphrase that seals the keyring")
        following = msgspec.structs.replace(
            self, generation=self.generation + 1, root_id=root_id, root_key=root_key, root_made_at=_now(),
            former_roots=[*self.former_roots, self.root_id],
            root_seal=None if self.root_seal is None else _sealed(root_key, root_id, passphrase or b""),
        )  # fmt: skip
        wrapped = {
            tenant: [
                msgspec.structs.replace(
                    key, wrapped=following._wrap(tenant, key.version, self._unwrap(tenant, key))
                )
                for key in self.tenants[tenant]
            ]
            for tenant in tenants
        }
        return msgspec.structs.replace(following, tenants=wrapped)

    def _new_key(self, tenant: str, version: int) -> TenantKey:
        wrapped = self._wrap(tenant, version, secrets.token_bytes(KEY_BYTES))
        return TenantKey(version=version, wrapped=wrapped, made_at=_now())

    def _with_keys(self, tenant: str, keys: list[TenantKey]) -> Keyring:
        return msgspec.structs.replace(
            self, generation=self.generation + 1, tenants={**self.tenants, tenant: keys}
        )

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


def new_keyring(passphrase: bytes | None = None) -> bytes:
    """Return the content of a new keyring file of generation 1 without tenants."""
    root_id, root_key = secrets.token_hex(8), _new_root_key()
    return Keyring(
        format=FORMAT,
        generation=1,
        root_id=root_id,
        root_key=root_key,
        tenants={},
        root_made_at=_now(),
        root_seal=None if passphrase is None else _sealed(root_key, root_id, passphrase),
    ).to_bytes()


def parse(content: bytes, passphrases: Iterable[bytes] = ()) -> Keyring:
    """Read a keyring file's content; a sealed one by the first of the passphrases that opens it.

    Raises KeyringError, of which KeyringSealed when none does. Takes a third of a second a passphrase.
    """
    try:
        keyring = msgspec.json.decode(content, type=Keyring)
        root_key = _decode(keyring.root_key)
    except ValueError as error:
        raise KeyringError(f"the keyring is damaged: {error}") from None
    if keyring.format != FORMAT:
        raise KeyringError(f"the keyring is not of format {FORMAT}")
    if keyring.root_seal is not None:
        root_key = _opened(keyring.root_seal, keyring.root_id, passphrases)
        keyring = msgspec.structs.replace(keyring, root_key=base64.b64encode(root_key).decode())
    if len(root_key) != KEY_BYTES:
        raise KeyringError("the keyring is damaged: its root key is not whole")
    return keyring


def seal_of(content: bytes) -> Seal | None:
    """Return the seal of a keyring file's content; a damaged one has none."""
    try:
        return msgspec.json.decode(content, type=Keyring).root_seal
    except ValueError:
        return None


def _sealed(root_key: str, root_id: str, passphrase: bytes) -> Seal:
    return seal(_decode(root_key), root_id.encode(), passphrase)


def _opened(sealed: Seal, root_id: str, passphrases: Iterable[bytes]) -> bytes:
    for passphrase in passphrases:
        if _opens(sealed, root_id, passphrase):
            return open_seal(sealed, root_id.encode(), passphrase)
    raise KeyringSealed("the keyring is sealed, and no passphrase that was given opens it")


def _opens(sealed: Seal, root_id: str, passphrase: bytes) -> bool:
    try:
        open_seal(sealed, root_id.encode(), passphrase)
    except WrongPassphraseError:
        return False
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _new_root_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


decoding.learn(globals())
