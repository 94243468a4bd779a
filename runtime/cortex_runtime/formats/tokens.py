"""Access tokens: short-lived JWTs signed with Ed25519 (RFC 7519, RFC 8037, RFC 9068), practice of RFC 8725.

Two issuers, told apart by the key id out of a closed map: `node` signs what a tenant gets for its login,
`operator` what the control plane mints for itself. A token of one is never one of the other.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from cortex_runtime.formats import decoding
from cortex_runtime.formats.tokenkeys import Issuer, KeyId, TokenKey, TokenKeys

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
LIFETIME = 300
SKEW = 5
MAX_TOKEN_BYTES = 4096
_SHAPE = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")


class InvalidToken(ValueError):
    """The token is not to be believed; for which reason is for the log alone."""


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The protected header, all of it: anything more (jwk, jku, crit) is refused."""

    alg: Literal["Ed25519"]
    typ: Literal["at+jwt"]
    kid: KeyId


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token says. `tid` is the tenant, empty for operators; times are seconds since 1970.

    `sid` is the session, `auth_time` when it began, `role` what it may do (policies/rbac.yaml).
    """

    iss: Issuer
    aud: Literal["cortexkg"]
    sub: str
    tid: str
    sid: str
    jti: str
    iat: int
    exp: int
    auth_time: int
    epoch: int
    role: str


def mint_operator_token(keys: TokenKeys, actor: str) -> str:
    """Return a token for an operator, good for five minutes. Raises TokenKeysError."""
    return mint(keys, subject=f"operator:{actor}", tenant="", epoch=0, role="operator")[0]


def mint(
    keys: TokenKeys,
    *,
    subject: str,
    tenant: str,
    epoch: int,
    role: str,
    session: str | None = None,
    auth_time: int | None = None,
) -> tuple[str, Claims]:
    """Return a signed token and its claims; a new session's unless one is named. Raises TokenKeysError."""
    now, signer = int(time.time()), keys.signer()
    claims = Claims(
        iss=keys.issuer, aud="cortexkg", sub=subject, tid=tenant, sid=session or secrets.token_hex(8),
        jti=secrets.token_hex(8), iat=now, exp=now + LIFETIME, auth_time=auth_time or now, epoch=epoch,
        role=role,
    )  # fmt: skip
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": signer.kid}
    key = OKPKey.import_key(signer.jwk())  # type: ignore[arg-type]
    return jwt.encode(header, msgspec.to_builtins(claims), key, algorithms=[ALGORITHM]), claims


class Verifier:
    """Checks tokens against the public keys of the issuers, which `find` gives by their ids."""

    def __init__(self, find: Callable[[str], TokenKey | None]) -> None:
        self._find = find

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
        except (ValueError, RecursionError) as error:
            raise InvalidToken(str(error)) from None
        self._check(header, claims, payload)
        key = self._find(header.kid)
        if key is None or not key.verifies(time.time()):
            raise InvalidToken("key id")
        try:
            jwt.decode(token, OKPKey.import_key(key.jwk()), algorithms=[ALGORITHM])  # type: ignore[arg-type]
        except (ValueError, JoseError, RecursionError) as error:
            raise InvalidToken(str(error)) from None
        return claims

    def _check(self, header: Header, claims: Claims, payload: bytes) -> None:
        now = time.time()
        # What we mint is canonical: a payload of another length had duplicates or disguises.
        if len(msgspec.json.encode(claims)) != len(payload):
            raise InvalidToken("claims are not in their canonical form")
        if not header.kid.startswith(f"{claims.iss}-") or bool(claims.tid) != (claims.iss == "node"):
            raise InvalidToken("issuer")
        if not claims.iat - SKEW <= now < claims.exp or claims.exp - claims.iat > LIFETIME:
            raise InvalidToken("time")


def _segment(raw: bytes, index: int) -> bytes:
    part = raw.split(b".")[index]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


decoding.learn(globals())
