"""Tokens: what is believed, and the forgeries that are not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats import tokens
from cortex_runtime.formats.tokens import InvalidToken, Verifier


def pem_pair() -> tuple[bytes, bytes]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


NODE, OPERATOR = pem_pair(), pem_pair()
VERIFIER = Verifier({"node": NODE[1], "operator": OPERATOR[1]})


def encoded(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: object, payload: object, key: bytes = NODE[0]) -> str:
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, Ed25519PrivateKey)
    body = f"{encoded(header)}.{encoded(payload)}"
    return f"{body}.{encoded(private.sign(body.encode()))}"


HEADER = {"alg": "Ed25519", "typ": "at+jwt", "kid": "node"}


def claims(**changed: object) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "node", "aud": "cortexkg", "sub": "key:1", "tid": "acme", "sid": "s", "jti": "j",
        "iat": now, "exp": now + 300, "epoch": 1, **changed,
    }  # fmt: skip


def test_a_minted_token_is_believed() -> None:
    token, minted = tokens.mint(NODE[0], "node", subject="key:1", tenant="acme", epoch=3)
    assert VERIFIER.verify(token) == minted


def test_an_operator_token_has_no_tenant() -> None:
    found = VERIFIER.verify(tokens.mint_operator_token(OPERATOR[0], "ada"))
    assert (found.iss, found.tid, found.sub) == ("operator", "", "operator:ada")


def test_the_hand_made_token_of_these_tests_is_good() -> None:
    assert VERIFIER.verify(signed(HEADER, claims())).tid == "acme"


def hmac_forgery() -> str:
    body = f"{encoded({**HEADER, 'alg': 'HS256'})}.{encoded(claims())}"
    return f"{body}.{encoded(hmac.digest(NODE[1], body.encode(), 'sha512'))}"


FORGERIES: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: f"{encoded({**HEADER, 'alg': 'none'})}.{encoded(claims())}.",
    "no algorithm, padded": lambda: f"{encoded({**HEADER, 'alg': 'nOnE'})}.{encoded(claims())}.{'A' * 86}",
    "public key as HMAC secret": hmac_forgery,
    "embedded key": lambda: signed({**HEADER, "jwk": {"kty": "OKP"}}, claims()),
    "key by URL": lambda: signed({**HEADER, "jku": "https://example.org/keys"}, claims()),
    "unknown critical header": lambda: signed({**HEADER, "crit": ["x"]}, claims()),
    "key id that climbs": lambda: signed({**HEADER, "kid": "../../node"}, claims()),
    "other type": lambda: signed({**HEADER, "typ": "rt+jwt"}, claims()),
    "signed by a stranger": lambda: signed(HEADER, claims(), pem_pair()[0]),
    "operator's word by a node's key": lambda: signed(
        {**HEADER, "kid": "node"}, claims(iss="operator", tid="")
    ),
    "node's word by an operator's key": lambda: signed({**HEADER, "kid": "operator"}, claims(), OPERATOR[0]),
    "tenant in an operator's token": lambda: signed(
        {**HEADER, "kid": "operator"}, claims(iss="operator"), OPERATOR[0]
    ),
    "no tenant": lambda: signed(HEADER, claims(tid="")),
    "other audience": lambda: signed(HEADER, claims(aud="elsewhere")),
    "expired a second ago": lambda: signed(
        HEADER, claims(iat=int(time.time()) - 301, exp=int(time.time()) - 1)
    ),
    "from the future": lambda: signed(HEADER, claims(iat=int(time.time()) + 60, exp=int(time.time()) + 90)),
    "lives too long": lambda: signed(HEADER, claims(exp=int(time.time()) + 3600)),
    "lives for ever": lambda: signed(HEADER, claims(exp=10**30)),
    "expiry as text": lambda: signed(HEADER, claims(exp="9999999999")),
    "unknown claim": lambda: signed(HEADER, claims(role="admin")),
    "claim twice": lambda: signed(HEADER, json.dumps(claims())[:-1].encode() + b',"tid":"other"}'),
    "deep": lambda: signed(HEADER, b"[" * 1500),
    "too long": lambda: signed(HEADER, claims(sub="x" * 5000)),
    "four parts": lambda: signed(HEADER, claims()) + ".x",
    "empty": lambda: "",
    "not ASCII": lambda: signed(HEADER, claims()).replace(".", "\u2024"),
    "changed payload": lambda: signed(HEADER, claims()).replace(
        encoded(claims())[:10], encoded({"tid": "b"})[:10], 1
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_is_refused(forgery: Callable[[], str]) -> None:
    with pytest.raises(InvalidToken):
        VERIFIER.verify(forgery())
