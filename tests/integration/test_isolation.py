"""Two tenants of one deployment: neither sees, finds, changes or learns of the other."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable

import httpx
import pytest

from cortex_runtime.client import ApiError
from cortex_runtime.formats.messages import LoginRequest, LoginResponse, QueryRequest, QueryResponse
from cortexctl import access, credentials
from integration.running import Running, concept_path, eventually, get, put, unique


def refused(call: Callable[[], object]) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as found:
        call()
    return found.value.status, found.value.code, found.value.message


def test_a_token_opens_its_own_tenant_alone(running: Running, tenant: str) -> None:
    other = unique("t")
    running.run("tenant", "onboard", other)
    with running.tenant(tenant) as mine, running.tenant(other) as theirs:
        put(mine, tenant, "secret", "the plans of the reactor")
        foreign = refused(lambda: get(theirs, tenant, "secret"))
        unknown = refused(lambda: get(theirs, "nobody-here", "secret"))
        assert foreign == unknown == (404, "not_found", "There is no such tenant.")
        assert refused(lambda: put(theirs, tenant, "secret", "changed"))[1] == "not_found"
        assert refused(lambda: get(theirs, other, "secret"))[1] == "not_found"
        found = theirs.request(
            "POST", f"/v1/tenants/{other}/cortices/main/query",
            QueryRequest(text="the plans of the reactor"), type=QueryResponse,
        )  # fmt: skip
        assert found.matches == []
        assert get(mine, tenant, "secret").text == "the plans of the reactor"


def test_an_operator_has_no_way_to_a_tenants_data(running: Running, tenant: str) -> None:
    with access.operator(running.deployment) as operator:
        assert refused(lambda: get(operator, tenant, "anything"))[:2] == (403, "forbidden")


def test_a_tenant_is_no_operator(running: Running, tenant: str) -> None:
    with running.tenant(tenant) as client:
        assert refused(lambda: client.request("GET", "/v1/tenants", type=list))[:2] == (403, "forbidden")
        assert refused(lambda: client.request("GET", "/v1/health", type=dict))[:2] == (403, "forbidden")
        assert refused(lambda: client.request("GET", "/metrics", type=dict))[:2] == (403, "forbidden")


def test_a_wrong_key_and_an_unknown_tenant_look_alike(running: Running, tenant: str) -> None:
    def login(name: str) -> object:
        with access.open_client(running.deployment) as client:
            body = LoginRequest(tenant=name, api_key="ck_" + secrets.token_hex(16))
            return client.request("POST", "/v1/login", body, type=LoginResponse)

    assert refused(lambda: login(tenant)) == refused(lambda: login("nobody-here"))
    assert refused(lambda: login(tenant))[0] == 401


def test_after_logout_no_node_takes_the_token(running: Running, tenant: str) -> None:
    key = credentials.api_key(running.deployment, tenant)
    with access.open_client(running.deployment) as client:
        token = access.log_in(client, tenant, key).token
    with access.open_client(running.deployment, token=token) as client:
        put(client, tenant, "a", "some words")
        client.request("POST", "/v1/logout", type=dict)
    for region in running.deployment.regions:

        def check(url: str = region.load_balancer_url) -> None:
            with access.open_client(running.deployment, url=url, token=token) as client:
                assert refused(lambda: get(client, tenant, "a"))[1] == "unauthenticated"

        eventually(check, patience=5)


def test_bad_requests_are_told_what_is_wrong(running: Running, tenant: str) -> None:
    key = credentials.api_key(running.deployment, tenant)
    with access.open_client(running.deployment) as client:
        token = access.log_in(client, tenant, key).token
    url = running.deployment.edge_url + concept_path(tenant, "x")
    headers = {"authorization": f"Bearer {token}"}
    context = ssl.create_default_context(cafile=str(running.deployment.ca_certificate))
    with httpx.Client(verify=context, headers=headers, trust_env=False) as raw:
        bodies: dict[bytes, tuple[int, str]] = {
            b"{": (400, "invalid"),
            b'{"text": "a", "role": "admin"}': (400, "invalid"),
            b'{"text": ""}': (400, "invalid"),
            b'{"text": NaN}': (400, "invalid"),
            b'{"text": "\xff"}': (400, "invalid"),
            b"[" * 100_000: (400, "invalid"),
            b'{"text": "a", "relationships": [{"type": "t", "target": "b", "weight": 7}]}': (400, "invalid"),
            b" " * ((1 << 20) + 1): (413, "too_large"),
        }
        for body, expected in bodies.items():
            answer = raw.put(url, content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == expected, body[:40]
            assert answer.json()["error"]["request_id"]
        assert raw.get(url, headers={"cortex-position": "x"}).status_code == 400
        assert raw.get(running.deployment.edge_url + "/v1/tenants/%2e%2e/x").status_code in (400, 404)
        assert raw.patch(url).status_code == 405


def test_plain_text_and_strangers_get_nothing_from_a_nodes_own_listener(running: Running) -> None:
    node = running.deployment.nodes[0]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{node.address}/healthz", trust_env=False)
    context = ssl.create_default_context(cafile=str(running.deployment.ca_certificate))
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://{node.address}/healthz", verify=context, trust_env=False)


def test_no_nodes_certificate_is_enough_to_order_patroni_about(running: Running) -> None:
    region = running.deployment.regions[0]
    context = ssl.create_default_context(cafile=str(running.deployment.ca_certificate))
    context.load_cert_chain(region.directory / "certs" / f"{region.nodes[0].name}.pem")
    base = f"https://127.0.0.1:{region.patroni_port}"
    with httpx.Client(verify=context, trust_env=False, timeout=10.0) as node:
        assert node.get(f"{base}/patroni").status_code == 200
        for order in ("switchover", "failover", "restart", "reinitialize"):
            assert node.post(f"{base}/{order}", json={"candidate": region.name}).status_code == 401
        assert node.patch(f"{base}/config", json={"ttl": 30}).status_code == 401
