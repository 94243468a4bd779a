"""Access tokens: short-lived JWTs signed with Ed25519 (RFC 7519, RFC 8037, RFC 9068), practice of RFC 8725.

Two issuers, told apart by the key id out of a closed map: `node` signs what a tenant gets for its API
key, `operator` what the control plane mints for itself. A token of one is never one of the other.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from cortex_runtime.formats import decoding

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
LIFETIME = 300
MAX_TOKEN_BYTES = 4096
_SHAPE = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")

Issuer = Literal["node", "operator"]


class InvalidToken(ValueError):
    """The token is not to be believed; for which reason is for the log alone."""


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The protected header, all of it: anything more (jwk, jku, crit) is refused."""

    alg: Literal["Ed25519"]
    typ: Literal["at+jwt"]
    kid: Issuer


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token says. `tid` is the tenant, empty for operators; times are seconds since 1970."""

    iss: Issuer
    aud: Literal["cortexkg"]
    sub: str
    tid: str
    sid: str
    jti: str
    iat: int
    exp: int
    epoch: int


def mint_operator_token(signing_key_pem: bytes, actor: str) -> str:
    """Return a token for an operator, good for five minutes."""
    return mint(signing_key_pem, "operator", subject=f"operator:{actor}", tenant="", epoch=0)[0]


def mint(
    signing_key_pem: bytes,
    issuer: Issuer,
    *,
    subject: str,
    tenant: str,
    epoch: int,
    session: str | None = None,
) -> tuple[str, Claims]:
    """Return a signed token and its claims. `signing_key_pem` is a PKCS 8 PEM of an Ed25519 key."""
    now = int(time.time())
    claims = Claims(
        iss=issuer, aud="cortexkg", sub=subject, tid=tenant, sid=session or secrets.token_hex(8),
        jti=secrets.token_hex(8), iat=now, exp=now + LIFETIME, epoch=epoch,
    )  # fmt: skip
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": issuer}
    key = OKPKey.import_key(signing_key_pem)
    return jwt.encode(header, msgspec.to_builtins(claims), key, algorithms=[ALGORITHM]), claims


class Verifier:
    """Checks tokens against the public keys of the issuers."""

    def __init__(self, public_keys_pem: dict[Issuer, bytes]) -> None:
        self._keys = {issuer: OKPKey.import_key(pem) for issuer, pem in public_keys_pem.items()}

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that is good now. Raises InvalidToken.

        The shape, the header and the claims are checked by us before and after the library: it lets
        duplicate claims, far expiries and foreign types pass.
        """
        raw = token.encode("utf-8", "replace")
        if len(raw) > MAX_TOKEN_BYTES or not _SHAPE.fullmatch(raw):
            raise InvalidToken("shape")
        try:
            header = msgspec.json.decode(_segment(raw, 0), type=Header)
            payload = _segment(raw, 1)
            claims = msgspec.json.decode(payload, type=Claims)
            jwt.decode(token, self._keys[header.kid], algorithms=[ALGORITHM])
        except (ValueError, KeyError, JoseError, RecursionError) as error:
            raise InvalidToken(str(error)) from None
        self._check(header, claims, payload)
        return claims

    def _check(self, header: Header, claims: Claims, payload: bytes) -> None:
        now = time.time()
        # What we mint is canonical: a payload of another length had duplicates or disguises.
        if len(msgspec.json.encode(claims)) != len(payload):
            raise InvalidToken("claims are not in their canonical form")
        if header.kid != claims.iss or bool(claims.tid) != (claims.iss == "node"):
            raise InvalidToken("issuer")
        if not claims.iat - 5 <= now < claims.exp or claims.exp - claims.iat > LIFETIME:
            raise InvalidToken("time")


def _segment(raw: bytes, index: int) -> bytes:
    part = raw.split(b".")[index]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


decoding.learn(globals())
