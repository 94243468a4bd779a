"""Quotas hold, also when many clients come at once to the last place; a limit is never passed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from unit.server.node import Node

LARGE = {"concepts": 10**6, "columns": 10**6, "storage": 10**9, "requests": 20_000}
SetQuota = Callable[..., None]


@pytest.fixture
def cortex() -> str:
    return f"q-{secrets.token_hex(4)}"


@pytest.fixture
def set_quota(node: Node) -> Iterator[SetQuota]:
    """Set a quota for what the tenant has already, and so much more."""

    def set_(**more: int) -> None:
        has = node.operator("GET", "/v1/tenants/other")["usage"]
        quota = {**LARGE, **{name: has[name] + value for name, value in more.items()}}
        node.operator("PUT", "/v1/tenants/other/quota", tier="free", quota=quota)

    yield set_
    node.operator("PUT", "/v1/tenants/other/quota", tier="free", quota=LARGE)


def put(node: Node, cortex: str, name: str, text: str = "") -> tuple[int, str]:
    answer = node.send("PUT", f"concepts/{name}", {"text": text or name}, tenant="other", cortex=cortex)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


@pytest.mark.parametrize("limit", ["concepts", "columns"])
def test_of_100_clients_at_the_last_place_one_gets_it(
    node: Node, set_quota: SetQuota, cortex: str, limit: str
) -> None:
    set_quota(**{limit: 1})
    names = [f"{secrets.token_hex(8)} {secrets.token_hex(8)}" for _ in range(100)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda name: put(node, cortex, name), names))
    assert sorted(answers) == [(200, "")] + [(409, "quota")] * 99
    usage = node.operator("GET", "/v1/tenants/other")
    assert usage["usage"][limit] == usage["quota"][limit]


def test_of_clients_of_many_cortices_one_gets_the_last_place(
    node: Node, set_quota: SetQuota, cortex: str
) -> None:
    set_quota(concepts=1)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: put(node, f"{cortex}-{n}", "a"), range(40)))
    assert sorted(answers) == [(200, "")] + [(409, "quota")] * 39


def test_at_the_limit_one_may_change_and_delete_and_put_again(
    node: Node, set_quota: SetQuota, cortex: str
) -> None:
    set_quota(concepts=2)
    assert put(node, cortex, "a")[0] == put(node, cortex, "b")[0] == 200
    assert put(node, cortex, "c") == (409, "quota")
    assert put(node, cortex, "a", "another text of a")[0] == 200
    assert node.send("DELETE", "concepts/b", tenant="other", cortex=cortex).status_code == 200
    assert put(node, cortex, "c")[0] == 200
    assert put(node, cortex, "d") == (409, "quota")


def test_a_batch_over_the_quota_is_refused_whole(node: Node, set_quota: SetQuota, cortex: str) -> None:
    set_quota(concepts=3)
    operations = [{"op": "put", "id": f"n{n}", "text": f"word{n}"} for n in range(4)]
    refused = node.send("POST", "batch", {"operations": operations}, tenant="other", cortex=cortex)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "quota")
    assert "concepts" in refused.json()["error"]["message"]
    assert node.send("GET", "concepts/n0", tenant="other", cortex=cortex).status_code == 404
    taken = node.send("POST", "batch", {"operations": operations[:3]}, tenant="other", cortex=cortex)
    assert taken.status_code == 200


def test_storage_is_what_the_entries_take_and_is_given_back(
    node: Node, set_quota: SetQuota, cortex: str
) -> None:
    before = node.operator("GET", "/v1/tenants/other")["usage"]
    set_quota(storage=3_000)
    assert put(node, cortex, "small", "x" * 500)[0] == 200
    assert put(node, cortex, "large", "y" * 5_000) == (409, "quota")
    edge = {"source": "small", "type": "is", "target": "nothing"}
    assert node.send("POST", "relationships", edge, tenant="other", cortex=cortex).status_code == 200
    used = node.operator("GET", "/v1/tenants/other")["usage"]
    assert 600 < used["storage"] - before["storage"] < 3_000
    assert node.send("DELETE", "concepts/small", tenant="other", cortex=cortex).status_code == 200
    assert node.operator("GET", "/v1/tenants/other")["usage"] == before


def test_one_tenants_limit_is_not_anothers(node: Node, set_quota: SetQuota, cortex: str) -> None:
    set_quota(concepts=0)
    assert put(node, cortex, "a") == (409, "quota")
    assert node.send("PUT", "concepts/a", {"text": "a"}, tenant="acme", cortex=cortex).status_code == 200


def test_a_quota_below_what_is_there_lets_less_come_only(
    node: Node, set_quota: SetQuota, cortex: str
) -> None:
    set_quota(concepts=2)
    assert put(node, cortex, "a")[0] == put(node, cortex, "b")[0] == 200
    set_quota(concepts=-1)
    assert put(node, cortex, "a", "changed")[0] == 200
    assert put(node, cortex, "c") == (409, "quota")
    assert node.send("DELETE", "concepts/a", tenant="other", cortex=cortex).status_code == 200
