"""Roles and routes fit, and a node does not start when they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cortex_runtime.security.rbac import Rbac, RbacError, read
from cortex_runtime.server.routes import routes
from cortexctl import policies

FILE = policies.find("rbac.yaml")


def changed(directory: Path, change: str, at: tuple[str, str], value: object) -> Rbac:
    content = yaml.safe_load(FILE.read_bytes())
    role = content["roles"].setdefault(at[0], {"audience": "tenant", "summary": "", "permissions": []})
    if change == "remove":
        role[at[1]].remove(value)
    elif change == "add":
        role[at[1]].append(value)
    else:
        role[at[1]] = value
    path = directory / "rbac.yaml"
    path.write_text(yaml.safe_dump(content))
    return read(path)


def test_every_route_has_a_permission_that_a_role_has() -> None:
    rbac = read(FILE)
    rbac.check(routes())
    for route in routes():
        having = [role for role in rbac.roles(route.audience) if rbac.allows(role, route.action)]
        assert having, (route.method, route.path)


def test_more_includes_less() -> None:
    rbac = read(FILE)
    tenants = [route.action for route in routes() if route.audience == "tenant"]
    allowed = {role: {each for each in tenants if rbac.allows(role, each)} for role in rbac.roles("tenant")}
    assert allowed["reader"] < allowed["writer"] <= allowed["admin"] == set(tenants)
    assert not any(rbac.allows("operator", action) for action in tenants)


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.method} {route.path}")
def test_a_route_without_a_role_that_has_its_permission_is_noticed(route: object, tmp_path: Path) -> None:
    content = yaml.safe_load(FILE.read_bytes())
    action = route.action  # type: ignore[attr-defined]
    for role in content["roles"].values():
        role["permissions"] = [each for each in role["permissions"] if each != action]
    path = tmp_path / "rbac.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(RbacError, match=action):
        read(path).check(routes())


def test_a_permission_that_no_route_needs_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(RbacError, match=r"no route needs concept\.gett"):
        changed(tmp_path, "add", ("reader", "permissions"), "concept.gett").check(routes())


def test_a_permission_at_the_wrong_audience_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(RbacError, match=r"key\.rotate \(tenant\)"):
        changed(tmp_path, "add", ("writer", "permissions"), "key.rotate").check(routes())


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("reader", "includes"), "admin"),
        (("writer", "includes"), "operator"),
        (("writer", "includes"), "nobody"),
        (("writer", "permissions"), "batch"),
        (("writer", "audience"), "everybody"),
        (("Writer!", "permissions"), []),
        (("writer", "allow"), ["batch"]),
    ],
)
def test_roles_that_cannot_be_are_refused(at: tuple[str, str], value: object, tmp_path: Path) -> None:
    with pytest.raises(RbacError):
        changed(tmp_path, "set", at, value)


def test_a_node_does_not_start_with_a_route_that_nobody_may_call(tmp_path: Path) -> None:
    content = yaml.safe_load(FILE.read_bytes())
    content["roles"]["reader"]["permissions"].remove("query")
    (tmp_path / "rbac.yaml").write_text(yaml.safe_dump(content))
    nowhere = str(tmp_path / "none")
    config = tmp_path / "node.json"
    config.write_text(
        """{"deployment": "d", "name": "n", "region": "r", "host": "127.0.0.1", "port": 1,
        "tls": {"ca": "X", "certificate": "X", "key": "X"},
        "database": {"name": "d", "user": "u", "hosts": [{"region": "r", "host": "127.0.0.1", "port": 2}]},
        "tokens": {"node": "X", "operator": "X"}, "keys": "file:///X", "checkpoint_key": "X",
        "log": "X", "snapshots": "X",
        "rbac": "RBAC"}""".replace("X", nowhere).replace("RBAC", str(tmp_path / "rbac.yaml"))
    )
    words = [sys.executable, "-P", "-m", "cortex_runtime.main", "serve", str(config)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "no role has query (tenant)" in ended.stdout
