"""Forged tokens by HTTP, signed by the node's own key where a forger would need that: all refused alike."""

from __future__ import annotations

import hmac
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cortex_runtime.formats.tokenkeys import TokenKeys, new_token_keys, parse
from unit.security.test_tokens import encoded, raw, signed
from unit.server.node import Node

PATH = "/v1/tenants/acme/cortices/main/concepts/nobody"
_addresses = (f"203.0.113.{number}" for number in itertools.count(20))
Forgery = Callable[[TokenKeys, dict[str, object], dict[str, object]], str]


@pytest.fixture(scope="module")
def keys(node: Node) -> TokenKeys:
    return parse((node.directory / "token-keys.json").read_bytes())


@pytest.fixture
def good(node: Node, keys: TokenKeys) -> tuple[dict[str, object], dict[str, object]]:
    """The header and the claims of a token that is good."""
    head, claims, _ = node.keys["acme"].split(".")
    return json.loads(raw(head)), json.loads(raw(claims))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where a forged token says that its key is to be had."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def ask(node: Node, token: str, path: str = PATH) -> tuple[int, str, str]:
    answer = node.send_raw("GET", path, token, headers={"x-forwarded-for": next(_addresses)})
    error = answer.json().get("error", {})
    return answer.status_code, error.get("code", ""), error.get("message", "")


def hashed(secret: Callable[[Ed25519PublicKey], bytes]) -> Forgery:
    def forge(keys: TokenKeys, head: dict[str, object], claims: dict[str, object]) -> str:
        public = Ed25519PublicKey.from_public_bytes(raw(keys.signer().x))
        body = f"{encoded({**head, 'alg': 'HS256'})}.{encoded(claims)}"
        return f"{body}.{encoded(hmac.digest(secret(public), body.encode(), 'sha256'))}"

    return forge


def headed(**changed: object) -> Forgery:
    return lambda keys, head, claims: signed({**head, **changed}, claims, keys)


def claiming(change: Callable[[int], dict[str, object]]) -> Forgery:
    return lambda keys, head, claims: signed(head, {**claims, **change(int(time.time()))}, keys)


def renamed(keys: TokenKeys, head: dict[str, object], claims: dict[str, object]) -> str:
    """Put another tenant into a token that was signed for one."""
    first, _, signature = signed(head, claims, keys).split(".")
    return f"{first}.{encoded({**claims, 'tid': 'other'})}.{signature}"


SPKI = PublicFormat.SubjectPublicKeyInfo
FORGERIES: dict[str, Forgery] = {
    "alg none": lambda keys, head, claims: f"{encoded({**head, 'alg': 'none'})}.{encoded(claims)}.",
    "alg nOnE": lambda keys, head, claims: f"{encoded({**head, 'alg': 'nOnE'})}.{encoded(claims)}.AAAA",
    "HS256 by PEM": hashed(lambda key: key.public_bytes(Encoding.PEM, SPKI)),
    "HS256 by DER": hashed(lambda key: key.public_bytes(Encoding.DER, SPKI)),
    "HS256 by raw": hashed(lambda key: key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
    "jwk": headed(jwk={"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
    "crit": headed(crit=["exp"], exp=1),
    "typ of a refresh token": headed(typ="rt+jwt"),
    "kid that climbs": headed(kid="../../etc/passwd"),
    "kid in SQL": headed(kid="node-0' union select '"),
    "kid of 3 KB": headed(kid="node-" + "0" * 3000),
    "kid of 10 KB": headed(kid="node-" + "0" * 10_000),
    "kid of nobody": headed(kid="node-00000000"),
    "kid that is a list": headed(kid=["node"]),
    "expired by a second": claiming(lambda now: {"iat": now - 301, "exp": now - 1}),
    "not yet valid": claiming(lambda now: {"iat": now + 120, "exp": now + 200}),
    "for an hour": claiming(lambda now: {"exp": now + 3600}),
    "audience": claiming(lambda now: {"aud": "elsewhere"}),
    "audiences": claiming(lambda now: {"aud": ["cortexkg", "elsewhere"]}),
    "issuer": claiming(lambda now: {"iss": "elsewhere"}),
    "operator by a node's key": claiming(lambda now: {"iss": "operator", "tid": "", "sub": "operator:ada"}),
    "another epoch": claiming(lambda now: {"epoch": 0}),
    "another tenant, not signed anew": renamed,
    "a stranger's key": lambda keys, head, claims: signed(head, claims, new_token_keys("node")),
}


def test_the_hand_made_token_is_good(
    node: Node, keys: TokenKeys, good: tuple[dict[str, object], dict[str, object]]
) -> None:
    assert ask(node, signed(*good, keys))[:2] == (404, "not_found")


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused_and_audited(
    node: Node, keys: TokenKeys, good: tuple[dict[str, object], dict[str, object]], forge: Forgery
) -> None:
    status, code, message = ask(node, forge(keys, *good))
    assert (status, code) == (401, "unauthenticated")
    assert message in ("The token is not valid.", ask(node, "a.b.c")[2], ask(node, "")[2])
    found = node.operator("GET", "/v1/audit?action=concept.get&result=refused:%20unauthenticated&limit=1")
    assert found[0]["actor"] == "anonymous"


def test_no_key_is_fetched_from_where_a_token_says(
    node: Node, keys: TokenKeys, good: tuple[dict[str, object], dict[str, object]], listener: socket.socket
) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    for name in ("jku", "x5u", "iss"):
        head = {**good[0], name: url} if name != "iss" else good[0]
        claims = {**good[1], "iss": url} if name == "iss" else good[1]
        assert ask(node, signed(head, claims, keys))[0] == 401
    with pytest.raises(BlockingIOError):  # nobody came
        listener.accept()


def test_a_tenants_token_is_nothing_on_anothers_path(node: Node) -> None:
    for path in (PATH.replace("acme", "other"), PATH.replace("acme", "nobody-at-all")):
        assert ask(node, node.keys["acme"], path) == (404, "not_found", "There is no such tenant.")
    assert ask(node, node.keys["acme"], "/v1/tenants/acme")[:2] == (403, "forbidden")


def test_a_header_that_names_another_tenant_than_the_path_is_refused(node: Node) -> None:
    for name, status in (("acme", 404), ("other", 400), ("ACME", 400), ("", 400), ("acme ,other", 400)):
        answer = node.send_raw("GET", PATH, node.keys["acme"], headers={"cortex-tenant": name})
        assert answer.status_code == status, name
