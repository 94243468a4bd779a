"""What is no plan, or no manifest, is refused with the reason, before any rule sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cortexctl.errors import UsageError
from cortexctl.policy import read_manifests, read_plan, rules_of
from unit.policy.examples import plan

GOOD = plan([{"type": "aws_eip", "after": {}}], ())
POD: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
DEEP = 100_000
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(20)
)


def without(key: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != key}).encode()


def changed(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"PK\x03\x04", "malformed"),
        (json.dumps(GOOD).encode()[:-20], "truncated"),
        (json.dumps(GOOD).encode("utf-16"), "malformed"),
        (b'{"format_version": "\xff"}', "utf-8"),
        (b"[]", "Expected `object`"),
        (b"{}", "format_version"),
        (without("planned_values"), "planned_values"),
        (without("configuration"), "configuration"),
        (changed(format_version="2.0"), "1.x is known"),
        (changed(format_version=1), "format_version"),
        (changed(errored=True), "not complete"),
        (changed(resource_changes={}), "resource_changes"),
        (changed(resource_changes=[{"address": "a"}]), "resource_changes[0]"),
        (changed(configuration={"root_module": []}), "list"),
        (changed(configuration={"root_module": {"resources": [{"expressions": None}]}}), "iterable"),
        (changed(variables={"peers": [[["x"] * 999]]})[:-1] + b', "x": ' + b"[" * DEEP, "deep"),
    ],
)  # fmt: skip
def test_what_is_no_plan(content: bytes, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_plan(content, "that file")
    assert caught.value.what == "that file is no plan of Terraform."
    assert says.lower() in caught.value.why.lower()
    assert "terraform show -json" in caught.value.todo


def test_a_plan_without_any_resource_is_one() -> None:
    read_plan(without("resource_changes"), "that file")


def document(**changes: Any) -> bytes:
    return json.dumps(POD | changes).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no document"),
        (b"---\n---\n", "no document"),
        (b"a: [", "did not find expected node content"),
        (b"a: \xff", "invalid leading utf-8"),
        (b"!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"just words", "Document 1"),
        (b"- a\n- b", "Document 1"),
        (document() + b"\n---\nkind: Pod\n", "Document 2"),
        (document(metadata={}), "name"),
        (document(kind=5), "kind"),
        (document(metadata={"generateName": "a-"}), "name"),
        (b"kind: Pod\nspec: {}\nspec: {hostNetwork: true}\n", "stands twice"),
        (f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{BOMB}".encode(), "more values"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: &a [*a]\n", "nested too deeply"),
        (b"spec: " + b"[" * DEEP, "deep"),
        (b"kind: List\nitems: 5\n", "Document 1"),
        (b"kind: List\nitems: []\n", "no document"),
        (b"#" * ((16 << 20) + 1), "16 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_manifest(content: bytes, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_manifests(content, "that file")
    assert caught.value.what == "that file has no manifests of Kubernetes."
    assert says.lower() in caught.value.why.lower()


def test_a_list_is_its_documents() -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD, POD]}).encode()
    rule = next(rule for rule in rules_of("kubernetes") if rule.name == "host_access")
    assert read_manifests(listed, "that file").seen_by(rule) == ("Pod/a", "Pod/a")
    nested = json.dumps({"kind": "List", "items": [json.loads(listed), {"kind": "PodList", "items": [POD]}]})
    assert read_manifests(nested.encode(), "that file").seen_by(rule) == ("Pod/a",) * 3
