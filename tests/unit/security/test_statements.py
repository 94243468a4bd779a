"""Signed statements: what is believed, and what is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats.statements import Statement, StatementError, Subject, sign, verify


def pair() -> tuple[bytes, bytes]:
    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)


PRIVATE, PUBLIC = pair()
STATEMENT = Statement(
    subject=[Subject("tenant/acme", {"sha256": "00"})],
    predicateType="https://cortexkg/x",
    predicate={"a": [1]},
)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    envelope = json.loads(sign(STATEMENT, PRIVATE))
    change(envelope)
    return json.dumps(envelope).encode()


def payload_of(text: bytes) -> Callable[[dict[str, Any]], object]:
    return lambda envelope: envelope.update(payload=base64.b64encode(text).decode())


def test_what_was_signed_is_believed() -> None:
    assert verify(sign(STATEMENT, PRIVATE), PUBLIC) == STATEMENT


def test_it_is_signed_as_the_standard_says() -> None:
    envelope = json.loads(sign(STATEMENT, PRIVATE))
    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload)["_type"] == "https://in-toto.io/Statement/v1"
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    key = serialization.load_pem_public_key(PUBLIC)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)  # type: ignore[union-attr, call-arg]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"[" * 5_000,
        changed(lambda e: e.update(payloadType="text/plain")),
        changed(payload_of(b'{"subject":[],"predicateType":"x","predicate":{}}')),
        changed(lambda e: e.update(payload=e["payload"][:-4])),
        changed(lambda e: e.update(signatures=[])),
        changed(lambda e: e["signatures"][0].update(sig="AAAA")),
        changed(lambda e: e.update(more=1)),
        sign(STATEMENT, pair()[0]),
    ],
)  # fmt: skip
def test_anything_else_is_not(content: bytes) -> None:
    with pytest.raises(StatementError):
        verify(content, PUBLIC)
