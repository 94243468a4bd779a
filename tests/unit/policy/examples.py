"""The examples of policies/examples, as the plans and manifests that they stand for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from cortexctl.policy import manifests, plans
from cortexctl.policy.facts import Facts
from cortexctl.policy.matter import Matter
from cortexctl.policy.rules import Subject

EXAMPLES = Path(__file__).resolve().parents[3] / "policies" / "examples"
DOCUMENTS = ("assume_role_policy", "policy")  # attributes that have JSON
FACTS = Facts(
    protected=True,
    regions=["ap-south-1", "eu-west-1", "us-east-1"],
    global_regions=["us-east-1"],
    peers=[],
    tags=["cortexkg:deployment", "cortexkg:stack"],
    public_ports=[443],
    backup_days=7,
    log_days=30,
)


@dataclass(frozen=True, slots=True)
class Example:
    """What a rule must, or must not, deny."""

    subject: Subject
    rule: str
    kind: Literal["pass", "fail"]
    name: str
    content: list[dict[str, Any]]
    peers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}-{self.kind}-{self.name}".replace(" ", "_")

    def document(self) -> Any:
        """Return the document that the example stands for: what OPA and conftest get, too."""
        return plan(self.content, self.peers) if self.subject == "terraform" else self.content

    def matter(self) -> Matter:
        if self.subject == "terraform":
            return plans.read(msgspec.json.encode(self.document()), "the example")
        return manifests.read(yaml.safe_dump_all(self.document()).encode(), "the example")


def examples(subject: Subject) -> Iterator[Example]:
    for path in sorted((EXAMPLES / subject).glob("*.yaml")):
        found = yaml.safe_load(path.read_text())
        assert set(found) - {"peers"} == {"pass", "fail"}, path
        for kind in ("pass", "fail"):
            for name, content in found[kind].items():
                yield Example(subject, path.stem, kind, name, content, tuple(found.get("peers", ())))


def plan(resources: list[dict[str, Any]], peers: tuple[str, ...]) -> dict[str, Any]:
    """Return the plan of resources that are written shortly, as README.md there has it."""
    configured: dict[str, dict[str, Any]] = {}
    for each in resources:
        said = configured.setdefault(f"{each['type']}.{each.get('name', 'this')}", _configured(each))
        said["expressions"] |= _configured(each)["expressions"]
    untagged = {"region": {"references": ["var.region"]}}
    elsewhere = {"region": {"constant_value": "us-west-2"}}
    return {
        "format_version": "1.2",
        "planned_values": {"root_module": {}},
        "resource_changes": [_change(each) for each in resources],
        "configuration": {
            "provider_config": {
                "aws": {"name": "aws", "expressions": untagged | {"default_tags": [{}]}},
                "aws.untagged": {"name": "aws", "alias": "untagged", "expressions": untagged},
                "aws.somewhere": {"name": "aws", "alias": "somewhere"},
                "aws.elsewhere": {"name": "aws", "alias": "elsewhere", "expressions": elsewhere},
            },
            "root_module": {"resources": list(configured.values())},
        },
        "variables": {
            "peers": {"value": {peer: {} for peer in peers}},
            "region": {"value": "eu-west-1"},
        },
    }


def _change(each: dict[str, Any]) -> dict[str, Any]:
    name, index = each.get("name", "this"), each.get("index")
    actions = each.get("actions", ["create"])
    after = {
        key: json.dumps(value) if key in DOCUMENTS and isinstance(value, dict) else value
        for key, value in each.get("after", {}).items()
    }
    unknown = each.get("after_unknown", {}) | dict.fromkeys(
        [*each.get("unknown", []), *each.get("of", {})], True
    )
    return {
        "address": f"{each['type']}.{name}" + (f"[{json.dumps(index)}]" if index is not None else ""),
        "mode": each.get("mode", "managed"),
        "type": each["type"],
        "name": name,
        **({} if index is None else {"index": index}),
        "change": {
            "actions": actions,
            "before": each.get("before"),
            "after": None
            if actions == ["delete"]
            else {k: v for k, v in after.items() if unknown.get(k) is not True},
            "after_unknown": unknown,
        },
    }


def _configured(each: dict[str, Any]) -> dict[str, Any]:
    expressions: dict[str, Any] = {
        key: {"constant_value": value} for key, value in each.get("after", {}).items() if value is not None
    }
    for key, reference in each.get("of", {}).items():
        expressions[key] = {"references": [f"{reference}.id", reference]}
    for key in each.get("after_unknown", {}):
        expressions[key] = {"references": ["var.later"]}
    return {
        "address": f"{each['type']}.{each.get('name', 'this')}",
        "type": each["type"],
        "name": each.get("name", "this"),
        "provider_config_key": each.get("provider", "aws"),
        "expressions": expressions,
    }
