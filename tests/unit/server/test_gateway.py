"""The gateway: its order, and what it reveals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats import tokens
from cortex_runtime.formats.tokens import Verifier
from cortex_runtime.security import ratelimit
from cortex_runtime.security.directory import Directory, TenantEntry
from cortex_runtime.security.gateway import Audience, Gateway
from cortex_runtime.security.keyring import KeyringFile
from cortex_runtime.security.ratelimit import RateLimiter
from cortex_runtime.server.errors import RequestError


def key_pair() -> tuple[bytes, bytes]:
    key = Ed25519PrivateKey.generate()
    encoding, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, key.public_key().public_bytes(encoding, public)


NODE, OPERATOR = key_pair(), key_pair()


@pytest.fixture
def directory(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Directory:
    found = Directory(KeyringFile(tmp_path))  # type: ignore[arg-type]
    for name, state in (("acme", "active"), ("other", "active"), ("gone", "suspended")):
        found.tenants[name] = TenantEntry(name, "free", state, 1, 1, b"", "", {}, {})
    monkeypatch.setattr(Directory, "version", 1)
    return found


@pytest.fixture
def admit(directory: Directory) -> Callable[[Audience, str | None, str], str]:
    gateway = Gateway(Verifier({"node": NODE[1], "operator": OPERATOR[1]}), directory)
    return lambda audience, tenant, token: (
        gateway.admit(audience, tenant, f"Bearer {token}", "::1", "test").subject
    )


def tenant_token(tenant: str = "acme", epoch: int = 1) -> str:
    return tokens.mint(NODE[0], "node", subject="key:1", tenant=tenant, epoch=epoch)[0]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RequestError) as found:
        call()
    return found.value.code


def test_a_tenant_reaches_its_own_path_and_an_operator_his(admit: Callable[..., str]) -> None:
    assert admit("tenant", "acme", tenant_token()) == "key:1"
    assert admit("operator", "acme", tokens.mint_operator_token(OPERATOR[0], "ada")) == "operator:ada"
    assert admit("public", None, "") == "anonymous"


def test_a_foreign_tenant_and_an_unknown_one_look_alike(admit: Callable[..., str]) -> None:
    refusals = []
    for tenant in ("other", "nobody"):
        with pytest.raises(RequestError) as found:
            admit("tenant", tenant, tenant_token())
        refusals.append((found.value.status, found.value.message))
    assert refusals[0] == refusals[1] == (404, "There is no such tenant.")


def test_nobody_without_a_token(admit: Callable[..., str]) -> None:
    assert refusal(lambda: admit("tenant", "acme", "")) == "unauthenticated"
    assert refusal(lambda: admit("operator", None, "x.y.z")) == "unauthenticated"


def test_neither_kind_of_token_does_for_the_other(admit: Callable[..., str]) -> None:
    assert refusal(lambda: admit("operator", None, tenant_token())) == "forbidden"
    operator = tokens.mint_operator_token(OPERATOR[0], "ada")
    assert refusal(lambda: admit("tenant", "acme", operator)) == "forbidden"


def test_a_node_that_knows_no_tenants_yet_says_so(
    admit: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Directory, "version", 0)
    assert refusal(lambda: admit("tenant", "acme", tenant_token())) == "unavailable"


def test_a_suspended_tenant_and_an_old_epoch_are_out(admit: Callable[..., str]) -> None:
    assert refusal(lambda: admit("tenant", "gone", tenant_token("gone"))) == "unauthenticated"
    assert refusal(lambda: admit("tenant", "acme", tenant_token(epoch=0))) == "unauthenticated"


def test_a_session_that_ended_is_out_although_its_token_is_cached(
    admit: Callable[..., str], directory: Directory
) -> None:
    token, claims = tokens.mint(NODE[0], "node", subject="key:1", tenant="acme", epoch=1)
    admit("tenant", "acme", token)
    directory.deny(claims.sid)
    assert refusal(lambda: admit("tenant", "acme", token)) == "unauthenticated"


def test_the_rate_limit_comes_last_and_spares_other_tenants(admit: Callable[..., str]) -> None:
    token = tenant_token()
    codes = set()
    for _ in range(2 * ratelimit.TIERS["free"].burst):
        try:
            admit("tenant", "acme", token)
        except RequestError as error:
            codes.add(error.code)
    assert codes == {"rate_limited"}
    assert refusal(lambda: admit("tenant", "other", token)) == "not_found"
    assert admit("tenant", "other", tenant_token("other")) == "key:1"


def test_a_rate_is_granted_again_as_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("cortex_runtime.security.ratelimit.time.monotonic", lambda: now)
    limiter = RateLimiter()
    tier = ratelimit.TIERS["free"]
    allowed = sum(limiter.allow("acme", "free") for _ in range(1000))
    assert allowed in (tier.burst, tier.burst + 1)
    now += 1.0
    assert sum(limiter.allow("acme", "free") for _ in range(1000)) in (tier.rate, tier.rate + 1)
