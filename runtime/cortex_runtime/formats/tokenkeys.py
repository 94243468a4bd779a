"""The keys that sign access tokens: versions with ids, rotated with an overlap.

A file of JSON, mode 0600, for each issuer: `node` (what tenants get for a login) and `operator` (what the
control plane mints for itself). A rotation has three steps, so that nobody meets a token of a key that he
does not know: the new key is published everywhere, then signs, and when everybody signs by it the one before
is retired, which verifies for as long as its last tokens live. Each step may be repeated.
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from cortex_runtime.formats import decoding

FORMAT = "cortexkg-token-keys-1"
OVERLAP = 600  # seconds: twice a token's life
Issuer = Literal["node", "operator"]
KeyId = Annotated[str, Meta(pattern=r"^(node|operator)-[0-9a-f]{8}$(?!\n)")]


class TokenKeysError(ValueError):
    """The file is damaged, or has no key that signs."""


class TokenKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An Ed25519 key: `x` public and `d` private half in base64url, as in a JWK (RFC 8037).

    Times are seconds since 1970. One that is retired has no private half any more, and verifies for OVERLAP
    seconds.
    """

    kid: KeyId
    x: str
    d: str | None = None
    created_at: int
    retired_at: int | None = None

    def verifies(self, now: float) -> bool:
        """Tell whether its tokens are to be believed."""
        return self.retired_at is None or now < self.retired_at + OVERLAP

    def jwk(self) -> dict[str, str]:
        """Return it as a JWK."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x} | ({"d": self.d} if self.d else {})


class TokenKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of one issuer, oldest first. Immutable: a change gives another one of the next generation.

    `signing` is the id of the one that signs. `derivation` is a secret (base64) that survives rotations: what
    must come out the same when a request is repeated is derived from it.
    """

    format: str
    generation: int
    issuer: Issuer
    signing: KeyId
    derivation: str
    keys: list[TokenKey]

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    def public(self) -> TokenKeys:
        """Return what verifies and cannot sign."""
        keys = [msgspec.structs.replace(key, d=None) for key in self.keys]
        return msgspec.structs.replace(self, keys=keys, derivation="")

    def signer(self) -> TokenKey:
        """Return the key that signs. Raises TokenKeysError when its private half is not here."""
        for key in self.keys:
            if key.kid == self.signing and key.d:
                return key
        raise TokenKeysError(f"the private half of {self.signing} is not here")

    @property
    def turning(self) -> bool:
        """Tell whether a rotation has begun and not ended."""
        newest, older = self.keys[-1], self.keys[:-1]
        return newest.kid != self.signing or any(key.retired_at is None for key in older)

    def published(self) -> TokenKeys:
        """Return these keys with a next one that does not sign yet; themselves when a rotation has begun."""
        if self.turning:
            return self
        return msgspec.structs.replace(
            self, generation=self.generation + 1, keys=[*self.keys, _new_key(self.issuer)]
        )

    def switched(self) -> TokenKeys:
        """Return these keys with the newest one signing; those before it verify on."""
        if self.keys[-1].kid == self.signing:
            return self
        return msgspec.structs.replace(self, generation=self.generation + 1, signing=self.keys[-1].kid)

    def retired(self, now: int) -> TokenKeys:
        """Return these keys with those before the signing one retired, without those that verify no more."""
        if not self.turning or self.keys[-1].kid != self.signing:
            return self
        keys = [
            msgspec.structs.replace(key, retired_at=now, d=None)
            if key.kid != self.signing and key.retired_at is None
            else key
            for key in self.keys
            if key.verifies(now)
        ]
        return msgspec.structs.replace(self, generation=self.generation + 1, keys=keys)


def new_token_keys(issuer: Issuer) -> TokenKeys:
    """Return keys of generation 1: one, which signs."""
    key = _new_key(issuer)
    return TokenKeys(
        format=FORMAT, generation=1, issuer=issuer, signing=key.kid,
        derivation=base64.b64encode(secrets.token_bytes(32)).decode(), keys=[key],
    )  # fmt: skip


def parse(content: bytes) -> TokenKeys:
    """Read a file's content. Raises TokenKeysError."""
    try:
        found = msgspec.json.decode(content, type=TokenKeys)
    except ValueError as error:
        raise TokenKeysError(f"the token keys are damaged: {error}") from None
    if found.format != FORMAT or found.signing not in {key.kid for key in found.keys}:
        raise TokenKeysError(f"the token keys are not of format {FORMAT}")
    if any(not key.kid.startswith(f"{found.issuer}-") for key in found.keys):
        raise TokenKeysError("a key is of another issuer")
    return found


def _new_key(issuer: Issuer) -> TokenKey:
    private = Ed25519PrivateKey.generate()
    return TokenKey(
        kid=f"{issuer}-{secrets.token_hex(4)}", x=_text(private.public_key().public_bytes_raw()),
        d=_text(private.private_bytes_raw()), created_at=int(time.time()),
    )  # fmt: skip


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


decoding.learn(globals())
