"""A tenant leaves, or has a person erased, and the node is killed in the middle: repeated, it ends right."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from cortex_runtime.formats.keyring import parse
from unit import postgres
from unit.server.keys import database, eventually
from unit.server.node import Node, running

QUOTA = {"concepts": 1000, "columns": 1000, "storage": 10**7, "requests": 1000}
WHEN = ("uncommitted", "committed")
STEPS = [f"{step}:{when}" for step in ("tenant.leave", "tenant.purge") for when in WHEN]
_numbers = count()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node of these tests alone: they kill it."""
    with (
        postgres.running(tmp_path_factory.mktemp("postgres")) as port,
        running(tmp_path_factory.mktemp("node"), port) as made,
    ):
        yield made


@pytest.fixture
def tenant(node: Node) -> str:
    """A tenant with three concepts, two of one person."""
    name, path = f"leaving-{next(_numbers)}", node.directory / "keyring.json"
    path.write_bytes(parse(path.read_bytes()).with_tenant(name).to_bytes())
    node.operator("POST", "/v1/tenants", tenant=name, tier="free", quota=QUOTA, keyring_generation=1)
    node.keys[name] = node.renew_token(name)
    puts = [
        {"op": "put", "id": id_, "text": f"some text of {id_}", "properties": {"subject": id_[:3]}}
        for id_ in ("ann1", "ann2", "bob")
    ]
    node.ask("POST", "batch", {"operations": puts}, tenant=name)
    return name


def leave(node: Node, tenant: str) -> None:
    """Do what the control plane does, from the beginning."""
    path = node.directory / "keyring.json"
    node.operator("POST", f"/v1/tenants/{tenant}/leave")
    path.write_bytes(parse(path.read_bytes()).without_tenant(tenant).to_bytes())
    while node.operator("POST", f"/v1/tenants/{tenant}/purge")["removed"]:
        pass


def residue_of(node: Node, tenant: str) -> dict[str, Any]:
    found: dict[str, Any] = node.operator("GET", f"/v1/tenants/{tenant}/residue")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_node_killed_while_a_tenant_leaves_is_followed_by_one_that_ends_it(
    node: Node, tenant: str, step: str
) -> None:
    node.ask("PUT", "concepts/neighbour", {"text": "stays"})
    node.stop()
    node.start(step)
    assert node.process is not None
    with pytest.raises(httpx.TransportError):
        leave(node, tenant)
    assert node.process.wait(10) == -signal.SIGKILL
    node.start()
    leave(node, tenant)
    residue = residue_of(node, tenant)
    assert (residue["state"], residue["opens"]) == ("gone", [])
    eventually(lambda: not any(residue_of(node, tenant)["parts"].values()), node)
    done = node.operator("GET", f"/v1/audit?tenant={tenant}&action=tenant.purge&result=done")
    assert done  # what a receipt proves
    assert node.ask("GET", "concepts/neighbour")["text"] == "stays"


@pytest.mark.slow
def test_a_node_killed_when_it_has_erased_is_followed_by_one_that_erases_nothing_twice(
    node: Node, tenant: str
) -> None:
    node.stop()
    node.start("cortex.erase:committed")
    assert node.process is not None
    with pytest.raises(httpx.TransportError):
        node.ask("POST", "erase", {"subject": "ann"}, tenant=tenant)
    assert node.process.wait(10) == -signal.SIGKILL
    node.start()
    assert node.ask("POST", "erase", {"subject": "ann"}, tenant=tenant)["erased"] == 0
    assert node.send("GET", "concepts/ann1", tenant=tenant).status_code == 404
    assert node.ask("GET", "concepts/bob", tenant=tenant)["text"] == "some text of bob"
    with database(node) as connection:
        rows = connection.execute("select count(*) from tombstone where tenant = %s", [tenant]).fetchall()
    assert rows == [(2,)]
