"""The gateway: its order, and what it reveals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from cortex_runtime.formats import tokens
from cortex_runtime.formats.tokenkeys import new_token_keys
from cortex_runtime.formats.tokens import Verifier
from cortex_runtime.security.directory import ApiKey, Directory, Quota, TenantEntry
from cortex_runtime.security.gateway import Gateway
from cortex_runtime.security.keyring import KeyringFile
from cortex_runtime.security.oidc import IdentityProvider
from cortex_runtime.security.ratelimit import BURST, Gcra, RateLimiter
from cortex_runtime.security.rbac import read
from cortex_runtime.server.errors import RequestError
from cortexctl import policies

NODE, OPERATOR = new_token_keys("node"), new_token_keys("operator")
KEYS = {key.kid: key for keys in (NODE, OPERATOR) for key in keys.keys}
RATE = 100
QUOTA = Quota(1_000, 1_000, 1_000_000, RATE)
ROUTES = {
    "tenant": SimpleNamespace(audience="tenant", action="query"),
    "writing": SimpleNamespace(audience="tenant", action="batch"),
    "operator": SimpleNamespace(audience="operator", action="tenant.show"),
    "public": SimpleNamespace(audience="public", action="login"),
}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    found = Directory(KeyringFile(tmp_path))
    for name, state in (("acme", "active"), ("other", "active"), ("gone", "suspended")):
        keys = {"1": ApiKey(b"", "admin")}
        found.tenants[name] = TenantEntry(name, "free", state, 1, 1, b"", QUOTA, None, keys, {})
    monkeypatch.setattr(Directory, "version", 1)
    return found


@pytest.fixture
def admit(directory: Directory) -> Callable[..., str]:
    rbac = read(policies.find("rbac.yaml"))
    gateway = Gateway(Verifier(KEYS.get), directory, rbac, RateLimiter())

    def call(route: str, tenant: str | None, token: str, address: str = "::1", **more: bool) -> str:
        return gateway.admit(ROUTES[route], tenant, f"Bearer {token}", address, "test", **more).subject

    return call


def tenant_token(tenant: str = "acme", epoch: int = 1, role: str = "admin", subject: str = "key:1") -> str:
    return tokens.mint(NODE, subject=subject, tenant=tenant, epoch=epoch, role=role)[0]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RequestError) as found:
        call()
    return found.value.code


def test_a_tenant_reaches_its_own_path_and_an_operator_his(admit: Callable[..., str]) -> None:
    assert admit("tenant", "acme", tenant_token()) == "key:1"
    assert admit("operator", "acme", tokens.mint_operator_token(OPERATOR, "ada")) == "operator:ada"
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
    operator = tokens.mint_operator_token(OPERATOR, "ada")
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
    token, claims = tokens.mint(NODE, subject="key:1", tenant="acme", epoch=1, role="reader")
    admit("tenant", "acme", token)
    directory.deny(claims.sid)
    assert refusal(lambda: admit("tenant", "acme", token)) == "unauthenticated"


def test_a_role_may_do_what_it_may_and_no_more(admit: Callable[..., str]) -> None:
    assert admit("tenant", "acme", tenant_token(role="reader")) == "key:1"
    assert admit("writing", "acme", tenant_token(role="writer")) == "key:1"
    assert refusal(lambda: admit("writing", "acme", tenant_token(role="reader"))) == "forbidden"
    assert refusal(lambda: admit("tenant", "acme", tenant_token(role="operator"))) == "forbidden"
    assert refusal(lambda: admit("tenant", "acme", tenant_token(role="nobody"))) == "forbidden"


def test_a_foreign_path_is_unknown_whatever_the_role(admit: Callable[..., str]) -> None:
    assert refusal(lambda: admit("writing", "other", tenant_token(role="reader"))) == "not_found"


def test_a_token_ends_with_its_api_key(admit: Callable[..., str], directory: Directory) -> None:
    token = tenant_token()
    admit("tenant", "acme", token)
    del directory.tenants["acme"].api_keys["1"]
    assert refusal(lambda: admit("tenant", "acme", token)) == "unauthenticated"


def test_a_persons_token_ends_with_the_identity_provider(
    admit: Callable[..., str], directory: Directory
) -> None:
    token, entry = tenant_token(subject="person:1"), directory.tenants["acme"]
    assert refusal(lambda: admit("tenant", "acme", token)) == "unauthenticated"
    provider = IdentityProvider("https://a.example", "c", "groups", {"staff": "reader"})
    directory.tenants["acme"] = replace(entry, identity=provider)
    assert admit("tenant", "acme", token) == "person:1"


def test_the_rate_limit_comes_last_and_spares_other_tenants(admit: Callable[..., str]) -> None:
    token = tenant_token()
    codes = set()
    for _ in range(3 * RATE):
        try:
            admit("tenant", "acme", token)
        except RequestError as error:
            codes.add(error.code)
    assert codes == {"rate_limited"}
    assert refusal(lambda: admit("tenant", "other", token)) == "not_found"
    assert refusal(lambda: admit("writing", "acme", tenant_token(role="reader"))) == "forbidden"
    assert admit("tenant", "other", tenant_token("other")) == "key:1"
    assert admit("tenant", "acme", token, forwarded=True) == "key:1"


def test_an_address_that_sends_bad_tokens_is_not_listened_to(admit: Callable[..., str]) -> None:
    good, stranger = tenant_token(), new_token_keys("node")
    admit("tenant", "acme", good, "::2")
    bad = [tokens.mint(stranger, subject="s", tenant="acme", epoch=1, role="admin")[0] for _ in range(30)]
    codes = [refusal(partial(admit, "tenant", "acme", token, "::2")) for token in bad]
    assert codes[0] == "unauthenticated"
    assert codes[-1] == "rate_limited"
    assert admit("tenant", "acme", good, "::2") == "key:1"
    assert admit("tenant", "acme", tenant_token(), "::3") == "key:1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("cortex_runtime.security.ratelimit.time.monotonic", lambda: now[0])
    return now


def test_a_rate_is_granted_again_as_time_passes(clock: list[float]) -> None:
    limiter = RateLimiter()
    burst = int(BURST * RATE)
    assert sum(limiter.allow("acme", RATE) for _ in range(1000)) in (burst, burst + 1)
    clock[0] += 1.0
    assert sum(limiter.allow("acme", RATE) for _ in range(1000)) in (RATE, RATE + 1)


def test_the_nodes_together_grant_a_tenant_its_rate_and_not_more(clock: list[float]) -> None:
    asked = {"a": 300, "b": 100, "c": 0}  # each tenth of a second
    nodes = {name: RateLimiter() for name in asked}
    granted, told = 0, {name: {"acme": 0.0} for name in asked}
    for step in range(200):
        clock[0] += 0.1
        for name, limiter in nodes.items():
            allowed = sum(limiter.allow("acme", RATE) for _ in range(asked[name]))
            granted += allowed if step >= 100 else 0
        if step % 5 == 4:
            told = {name: limiter.usage(0.5) for name, limiter in nodes.items()}
            for name, limiter in nodes.items():
                limiter.hear({other: usage for other, usage in told.items() if other != name})
    assert granted == pytest.approx(10 * RATE, rel=0.1)


def test_one_node_that_is_asked_alone_grants_the_whole_rate(clock: list[float]) -> None:
    limiter, granted = RateLimiter(), 0
    for step in range(100):
        clock[0] += 0.1
        allowed = sum(limiter.allow("acme", RATE) for _ in range(50))
        granted += allowed if step >= 50 else 0
        if step % 5 == 4:
            limiter.usage(0.5)
            limiter.hear({"b": {}, "c": {}})
    assert granted == pytest.approx(5 * RATE, rel=0.1)


def test_a_million_keys_take_bounded_memory() -> None:
    gcra = Gcra(1.0, 1_000)
    assert all(gcra.allow(str(key), 1.0) for key in range(20_000))
    assert len(gcra._arrival) == 1_000
