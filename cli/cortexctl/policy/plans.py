"""Plans of Terraform: what `terraform show -json PLAN` prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from cortex_runtime.formats import decoding
from cortexctl.errors import UsageError
from cortexctl.policy.matter import TooLarge, escaped
from cortexctl.policy.rules import Rule, Subject

CONTROL = re.compile(r"\\u00[01][0-9a-f]")  # what json.dumps escapes, whatever it is told


class _Change(msgspec.Struct, frozen=True):
    actions: list[str]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    after_unknown: dict[str, Any] | bool = False


class _Resource(msgspec.Struct, frozen=True, omit_defaults=True):
    address: str
    mode: str
    type: str
    name: str
    change: _Change
    module_address: str = ""
    index: str | int | None = None


class _Plan(msgspec.Struct, frozen=True):
    format_version: str
    planned_values: msgspec.Raw  # a state has none
    configuration: dict[str, Any]
    resource_changes: list[_Resource] = []
    variables: dict[str, Any] = {}
    errored: bool = False


@dataclass(frozen=True, slots=True)
class _Configured:
    """A resource of the configuration; `module` has the names of the modules around it, the root's first."""

    module: tuple[str, ...]
    type: str
    content: dict[str, Any]


class Plan:
    """A plan. A rule gets the resources of its types alone: the evaluator's time goes by what it is given."""

    subject: Subject = "terraform"

    def __init__(self, content: _Plan) -> None:
        self._changes = [
            (each.type, each.address, escaped(_shown(each))) for each in content.resource_changes
        ]
        self._stated = [
            _Configured(module, str(each.get("type")), escaped(_said(each)))
            for module, each in _configured(content.configuration.get("root_module", {}), ())
        ]
        self._providers = escaped(content.configuration.get("provider_config", {}))
        self._variables = escaped(dict(_small(content.variables)))

    def seen_by(self, rule: Rule) -> tuple[str, ...]:
        """Return the addresses of the resources that the rule looks at."""
        return tuple(address for type_, address, change in self._changes if _looked_at(rule, type_, change))

    def document(self, rule: Rule) -> dict[str, Any]:
        """Return the plan without what the rule does not look at, its texts escaped."""
        return {
            "resource_changes": [
                change if rule.attributes is None else _narrowed(change, rule.attributes)
                for type_, _, change in self._changes
                if _looked_at(rule, type_, change)
            ],
            "configuration": {"provider_config": self._providers, "root_module": self._tree(rule)},
            "variables": self._variables,
        }

    def _tree(self, rule: Rule) -> dict[str, Any]:
        root: dict[str, Any] = {}
        for each in self._stated:
            if rule.looks_at(each.type):
                place = root
                for name in each.module:
                    place = place.setdefault("module_calls", {}).setdefault(name, {}).setdefault("module", {})
                place.setdefault("resources", []).append(_stated(each.content, rule.configured))
        return root


def read(content: bytes, name: str) -> Plan:
    """Return the plan in the file called `name`. Raises UsageError when it is none."""
    try:
        found = msgspec.json.decode(content, type=_Plan)
        plan = Plan(found)
    except (msgspec.MsgspecError, UnicodeDecodeError, TooLarge, AttributeError, TypeError) as error:
        raise _no_plan(name, str(error)) from error
    except RecursionError:
        raise _no_plan(name, "It is nested too deeply.") from None
    if found.format_version.partition(".")[0] != "1":
        raise _no_plan(name, f"Its format_version is {found.format_version!r}; 1.x is known.")
    if found.errored:
        raise _no_plan(name, "Terraform failed while it made it: it is not complete.")
    return plan


def _no_plan(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} is no plan of Terraform.",
        why=why,
        todo="Give what terraform show -json prints of a plan that terraform plan -out has saved.",
    )


def _shown(resource: _Resource) -> dict[str, Any]:
    """Return what rules may look at; of what is known on apply alone only what is unknown."""
    content: dict[str, Any] = msgspec.to_builtins(resource)
    change = content["change"]
    change["after"] = _given(resource.change.after)
    change["after_unknown"] = _unknown(resource.change.after_unknown)
    if "delete" not in resource.change.actions:
        del change["before"]
    return content


def _given(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the attributes that have a value: most have none, which Terraform shows as null."""
    return values and {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    r"""Return the value, documents of JSON in it without escapes that need not be.

    jsonencode writes < as \u003c, which the evaluator does not read; what has to be escaped stands for
    nothing that a document of policies may have.
    """
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, str) or "\\" not in value:
        return value
    try:
        plain = json.dumps(json.loads(value), ensure_ascii=False)
    except ValueError:
        return value  # no JSON
    return CONTROL.sub("\ufffd", plain).encode(errors="replace").decode()


def _unknown(value: Any) -> Any:
    """Return the value without what is known, which Terraform shows as false or empty."""
    if isinstance(value, dict):
        return {name: _unknown(each) for name, each in value.items() if _has_unknown(each)}
    if isinstance(value, list):  # numbers of what is unknown stay what they are
        return [_unknown(each) for each in value]
    return value


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_unknown, value.values() if isinstance(value, dict) else value))
    return value is True


def _small(variables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the variables that may name regions: texts, and the peers of a region."""
    for name, content in variables.items():
        if name == "peers" or (isinstance(content, dict) and isinstance(content.get("value"), str)):
            yield name, content


def _stated(resource: dict[str, Any], attributes: tuple[str, ...] | None) -> dict[str, Any]:
    expressions = resource.get("expressions", {})
    if attributes is None:
        return resource
    return {
        **resource,
        "expressions": {name: expressions[name] for name in attributes if name in expressions},
    }


def _said(resource: dict[str, Any]) -> dict[str, Any]:
    names = ("address", "provider_config_key")
    known: dict[str, Any] = {name: resource[name] for name in names if name in resource}
    return known | {"expressions": dict(resource.get("expressions", {}))}


def _configured(
    module: dict[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for resource in module.get("resources", []):
        yield path, resource
    for name, call in module.get("module_calls", {}).items():
        yield from _configured(call.get("module", {}), (*path, name))


def _looked_at(rule: Rule, type_: str, change: dict[str, Any]) -> bool:
    if not rule.looks_at(type_):
        return False
    parts = (change["change"][part] for part in ("after", "after_unknown"))
    return rule.having is None or any(part is True or rule.having in (part or ()) for part in parts)


def _narrowed(change: dict[str, Any], attributes: tuple[str, ...]) -> dict[str, Any]:
    values = dict(change["change"])
    for part in ("after", "after_unknown"):
        if isinstance(values[part], dict):
            values[part] = {name: value for name, value in values[part].items() if name in attributes}
    return {**change, "change": values}


decoding.learn(globals())
