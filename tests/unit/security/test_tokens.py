"""Tokens: what is believed, and the forgeries that are not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cortex_runtime.formats import tokens
from cortex_runtime.formats.tokenkeys import OVERLAP, TokenKeys, new_token_keys, parse
from cortex_runtime.formats.tokens import InvalidToken, Verifier

SPKI = PublicFormat.SubjectPublicKeyInfo
NODE, OPERATOR = new_token_keys("node"), new_token_keys("operator")
KEYS = {key.kid: key for keys in (NODE, OPERATOR) for key in keys.public().keys}
VERIFIER = Verifier(KEYS.get)


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: object, payload: object, keys: TokenKeys = NODE) -> str:
    private = Ed25519PrivateKey.from_private_bytes(raw(keys.signer().d or ""))
    body = f"{encoded(header)}.{encoded(payload)}"
    return f"{body}.{encoded(private.sign(body.encode()))}"


HEADER = {"alg": "Ed25519", "typ": "at+jwt", "kid": NODE.signing}
OPERATORS = {**HEADER, "kid": OPERATOR.signing}


def claims(**changed: object) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "node", "aud": "cortexkg", "sub": "key:1", "tid": "acme", "sid": "s", "jti": "j",
        "iat": now, "exp": now + 300, "auth_time": now, "epoch": 1, "role": "admin", **changed,
    }  # fmt: skip


def test_a_minted_token_is_believed() -> None:
    token, minted = tokens.mint(NODE, subject="key:1", tenant="acme", epoch=3, role="reader")
    assert VERIFIER.verify(token) == minted


def test_an_operator_token_has_no_tenant() -> None:
    found = VERIFIER.verify(tokens.mint_operator_token(OPERATOR, "ada"))
    assert (found.iss, found.tid, found.sub) == ("operator", "", "operator:ada")


def test_the_hand_made_token_of_these_tests_is_good() -> None:
    assert VERIFIER.verify(signed(HEADER, claims())).tid == "acme"


def hmac_forgery(secret: bytes, algorithm: str = "HS256") -> str:
    body = f"{encoded({**HEADER, 'alg': algorithm})}.{encoded(claims())}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), algorithm.replace('HS', 'sha')))}"


def public_half(encoding: serialization.Encoding, format_: serialization.PublicFormat) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(raw(NODE.signer().x))
    return key.public_bytes(encoding, format_)


FORGERIES: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: f"{encoded({**HEADER, 'alg': 'none'})}.{encoded(claims())}.",
    "no algorithm, padded": lambda: f"{encoded({**HEADER, 'alg': 'nOnE'})}.{encoded(claims())}.{'A' * 86}",
    "public key in PEM as HMAC secret": lambda: hmac_forgery(public_half(Encoding.PEM, SPKI)),
    "public key in DER as HMAC secret": lambda: hmac_forgery(public_half(Encoding.DER, SPKI), "HS512"),
    "raw public key as HMAC secret": lambda: hmac_forgery(public_half(Encoding.Raw, PublicFormat.Raw)),
    "embedded key": lambda: signed({**HEADER, "jwk": {"kty": "OKP"}}, claims()),
    "key by URL": lambda: signed({**HEADER, "jku": "https://example.org/keys"}, claims()),
    "unknown critical header": lambda: signed({**HEADER, "crit": ["x"]}, claims()),
    "key id that climbs": lambda: signed({**HEADER, "kid": "../../" + NODE.signing}, claims()),
    "key id in SQL": lambda: signed({**HEADER, "kid": "node-00000000' or '1'='1"}, claims()),
    "key id of 10 KB": lambda: signed({**HEADER, "kid": "node-" + "0" * 10_000}, claims()),
    "key id that nobody has": lambda: signed({**HEADER, "kid": "node-00000000"}, claims()),
    "key id with another's digits": lambda: signed({**HEADER, "kid": "node-\u0660" + "0" * 7}, claims()),
    "certificate by URL": lambda: signed({**HEADER, "x5u": "https://example.org/cert"}, claims()),
    "other type": lambda: signed({**HEADER, "typ": "rt+jwt"}, claims()),
    "signed by a stranger": lambda: signed(HEADER, claims(), new_token_keys("node")),
    "operator's word by a node's key": lambda: signed(HEADER, claims(iss="operator", tid="")),
    "node's word by an operator's key": lambda: signed(OPERATORS, claims(), OPERATOR),
    "tenant in an operator's token": lambda: signed(OPERATORS, claims(iss="operator"), OPERATOR),
    "no tenant": lambda: signed(HEADER, claims(tid="")),
    "other audience": lambda: signed(HEADER, claims(aud="elsewhere")),
    "expired a second ago": lambda: signed(
        HEADER, claims(iat=int(time.time()) - 301, exp=int(time.time()) - 1)
    ),
    "from the future": lambda: signed(HEADER, claims(iat=int(time.time()) + 60, exp=int(time.time()) + 90)),
    "lives too long": lambda: signed(HEADER, claims(exp=int(time.time()) + 3600)),
    "lives for ever": lambda: signed(HEADER, claims(exp=10**30)),
    "expiry as text": lambda: signed(HEADER, claims(exp="9999999999")),
    "unknown claim": lambda: signed(HEADER, claims(admin=True)),
    "other issuer": lambda: signed(HEADER, claims(iss="elsewhere")),
    "times that are no whole numbers": lambda: signed(HEADER, claims(exp=time.time() + 200)),
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


def test_a_rotation_overlaps() -> None:
    published = NODE.published()
    assert published.signing == NODE.signing and published.published() == published
    switched = published.switched()
    assert switched.signing != NODE.signing and switched.switched() == switched
    assert switched.published() == switched  # it has not ended yet
    now = int(time.time())
    retired = switched.retired(now)
    assert (NODE.turning, published.turning, switched.turning, retired.turning) == (False, True, True, False)
    assert retired.retired(now + 1) == retired and published.retired(now) == published
    assert retired.keys[0].d is None and retired.derivation == NODE.derivation
    old, new = (
        tokens.mint(k, subject="s", tenant="acme", epoch=1, role="reader")[0] for k in (NODE, switched)
    )
    by_id = {key.kid: key for key in parse(retired.public().to_bytes()).keys}
    verifier = Verifier(by_id.get)
    assert verifier.verify(old).sub == verifier.verify(new).sub == "s"
    assert [key.verifies(now + OVERLAP + 1) for key in retired.keys] == [False, True]
    assert len(retired.published().switched().retired(now + OVERLAP + 1).keys) == 2


def test_a_retired_key_verifies_no_more() -> None:
    gone = NODE.published().switched().retired(int(time.time()) - OVERLAP - 1)
    verifier = Verifier({key.kid: key for key in gone.keys}.get)
    with pytest.raises(InvalidToken, match="key id"):
        verifier.verify(signed(HEADER, claims()))


def test_public_halves_cannot_sign() -> None:
    assert str(NODE.signer().d) not in NODE.public().to_bytes().decode()
    with pytest.raises(ValueError, match="private half"):
        NODE.public().signer()
