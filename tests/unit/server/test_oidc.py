"""People log in by OpenID Connect: against a provider of the test's own, by TLS."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from cortex_runtime.security import oidc
from cortex_runtime.security.oidc import IdentityProvider, LoginRefused, Oidc, ProviderUnreachable
from unit.server.node import Node
from unit.server.provider import CLIENT, NONCE, Provider

ROLES = {"owners": "admin", "writers": "writer", "staff": "reader"}


@pytest.fixture(scope="module")
def stranger() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "first"})


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path).serving() as found:
        yield found


@pytest.fixture
def verify(provider: Provider) -> Callable[..., str]:
    known, tenant = Oidc(), IdentityProvider(provider.issuer, CLIENT, "groups", ROLES, provider.ca)

    def call(token: str, nonce: str = NONCE, tenant: IdentityProvider = tenant) -> str:
        return asyncio.run(known.verify(tenant, token, nonce)).role

    return call


def test_a_persons_groups_give_the_first_role_that_fits(
    provider: Provider, verify: Callable[..., str]
) -> None:
    assert verify(provider.token()) == "writer"
    assert verify(provider.token(groups=["staff"])) == "reader"
    assert verify(provider.token(groups="owners")) == "admin"
    assert verify(provider.token(aud=[CLIENT, "other"], azp=CLIENT)) == "writer"


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(provider: Provider, algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'kid': 'first'})}.{encoded(provider.claims())}."


def confused(provider: Provider) -> str:
    body = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(provider.claims())}"
    secret = provider.key.as_pem(private=False)
    return f"{body}.{base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), 'sha256')).decode()}"


def critical(provider: Provider) -> str:
    _, payload, signature = provider.token().split(".")
    return f"{encoded({'alg': 'RS256', 'kid': 'first', 'crit': ['x'], 'x': 1})}.{payload}.{signature}"


def doubled(provider: Provider) -> str:
    head, _, signature = provider.token().split(".")
    payload = json.dumps(provider.claims())[:-1] + ',"groups":["owners"]}'
    return f"{head}.{base64.urlsafe_b64encode(payload.encode()).rstrip(b'=').decode()}.{signature}"


FORGERIES: dict[str, Callable[[Provider], str]] = {
    "no algorithm": lambda p: unsigned(p, "none"),
    "no algorithm in capitals": lambda p: unsigned(p, "NONE"),
    "public key as secret": confused,
    "other issuer": lambda p: p.token(iss="https://elsewhere.example"),
    "other audience": lambda p: p.token(aud="another-client"),
    "several audiences without ours as the party": lambda p: p.token(aud=[CLIENT, "other"]),
    "expired": lambda p: p.token(exp=1_000_000_000, iat=999_999_000),
    "from the future": lambda p: p.token(iat=32_503_680_000, exp=32_503_680_100),
    "lives too long": lambda p: p.token(exp=32_503_680_000),
    "another's nonce": lambda p: p.token(nonce="m" * 32),
    "no nonce": lambda p: p.token(nonce=None),
    "no group": lambda p: p.token(groups=None),
    "strange groups": lambda p: p.token(groups=["strangers"]),
    "unknown key": lambda p: p.token({"kid": "nobody's"}),
    "no key named": lambda p: p.token({"kid": None}),
    "critical header": critical,
    "claim twice": doubled,
    "cut": lambda p: p.token()[:-10],
    "large": lambda p: p.token(padding="x" * 20_000),
    "not a token": lambda p: "a.b",
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_is_refused(
    forgery: Callable[[Provider], str], provider: Provider, verify: Callable[..., str]
) -> None:
    with pytest.raises(LoginRefused):
        verify(forgery(provider))


def test_a_strangers_signature_is_refused(
    provider: Provider, verify: Callable[..., str], stranger: RSAKey
) -> None:
    with pytest.raises(LoginRefused, match="signature"):
        verify(provider.token(key=stranger))


def test_known_keys_serve_while_the_provider_is_down_and_strange_ones_are_asked_for_once(
    provider: Provider, verify: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verify(provider.token()) == "writer"
    before, provider.down = provider.token(), True
    assert verify(before) == "writer"
    provider.roll()
    for _ in range(5):
        with pytest.raises(LoginRefused, match="no such key"):
            verify(provider.token())
    assert provider.fetched == 1
    provider.down = False
    monkeypatch.setattr(oidc, "REFETCH_PAUSE", 0.0)
    assert verify(provider.token()) == "writer"
    assert provider.fetched == 2
    with pytest.raises(LoginRefused, match="no such key"):
        verify(before)


def test_a_provider_that_never_answered_is_told_from_a_bad_token(
    provider: Provider, verify: Callable[..., str]
) -> None:
    provider.down = True
    for _ in range(2):
        with pytest.raises(ProviderUnreachable):
            verify(provider.token())


def test_a_provider_with_a_strangers_certificate_is_not_believed(
    provider: Provider, verify: Callable[..., str]
) -> None:
    tenant = IdentityProvider(provider.issuer, CLIENT, "groups", ROLES)
    with pytest.raises(ProviderUnreachable, match=r"(?i)certificate"):
        verify(provider.token(), tenant=tenant)


def login(node: Node, token: str, tenant: str = "acme") -> httpx.Response:
    body = json.dumps({"tenant": tenant, "id_token": token, "nonce": NONCE}).encode()
    return node.send_raw("POST", "/v1/login/oidc", "", body)


@pytest.fixture
def acme_of(node: Node, provider: Provider) -> Iterator[Provider]:
    """The provider of the tenant acme."""
    wanted = {"issuer": provider.issuer, "client_id": CLIENT, "role_claim": "groups", "roles": ROLES}
    node.operator("PUT", "/v1/tenants/acme/identity-provider", ca=provider.ca, **wanted)
    yield provider
    node.as_operator("DELETE", "/v1/tenants/acme/identity-provider")


def test_a_node_takes_an_id_token_once(node: Node, acme_of: Provider) -> None:
    token = acme_of.token()
    first = login(node, token)
    assert first.status_code == 200, first.text
    assert first.json()["role"] == "writer"
    shown = node.send_raw("GET", "/v1/session", first.json()["token"]).json()
    assert shown["subject"].startswith("person:") and "user-1" not in shown["subject"]
    again = login(node, acme_of.token())
    assert node.send_raw("GET", "/v1/session", again.json()["token"]).json()["subject"] == shown["subject"]
    replayed = login(node, token)
    assert (replayed.status_code, replayed.json()["error"]["code"]) == (401, "unauthenticated")
    event = node.operator("GET", "/v1/audit?action=login.oidc&result=refused&limit=1")[0]
    assert event["reason"] == "ID token shown before"
    # Other texts that may decode to the same token.
    for disguised in (token + "=", token + "==", token[:-1] + chr(ord(token[-1]) + 1)):
        assert login(node, disguised).status_code == 401


def test_strangers_and_tenants_without_a_provider_look_alike(node: Node, acme_of: Provider) -> None:
    answers = [
        login(node, acme_of.token(groups=["strangers"])),
        login(node, acme_of.token(), tenant="other"),
        login(node, acme_of.token(), tenant="nobody"),
    ]
    messages = {(answer.status_code, answer.json()["error"]["message"]) for answer in answers}
    assert messages == {(401, "The tenant or its credentials are not valid.")}


@pytest.mark.parametrize(
    "change",
    [{"issuer": "http://plain.example"}, {"issuer": "https://a.example/?x"}, {"roles": {"a": "operator"}},
     {"roles": {}}],
)  # fmt: skip
def test_a_provider_that_cannot_be_is_refused(node: Node, change: dict[str, Any]) -> None:
    wanted = {"issuer": "https://a.example", "client_id": "c", "role_claim": "groups", "roles": ROLES}
    body = json.dumps({**wanted, **change}).encode()
    assert node.as_operator("PUT", "/v1/tenants/acme/identity-provider", body).status_code == 400
