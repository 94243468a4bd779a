"""Manifests of Kubernetes: YAML documents, as a chart renders them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from cortex_runtime.formats import decoding
from cortexctl.errors import UsageError
from cortexctl.policy.matter import MOST_DEPTH, TooLarge, escaped
from cortexctl.policy.rules import Rule, Subject

MOST_BYTES = 16 << 20


class _Metadata(msgspec.Struct):
    name: str
    namespace: str | None = None


class _Document(msgspec.Struct):
    """What makes a document a manifest."""

    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    metadata: _Metadata


class Manifests:
    """The documents of one deployment, all together: a rule may ask whether one goes with another."""

    subject: Subject = "kubernetes"

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        found = zip(documents, escaped(documents), strict=True)
        self._documents = [(str(each["kind"]), _address(each), content) for each, content in found]

    def seen_by(self, rule: Rule) -> tuple[str, ...]:
        """Return the kinds and names of the documents that the rule looks at."""
        return tuple(address for kind, address, _ in self._documents if rule.looks_at(kind))

    def document(self, rule: Rule) -> list[Any]:
        """Return the documents that the rule looks at, their texts escaped."""
        return [content for kind, _, content in self._documents if rule.looks_at(kind)]


class _Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice: who reads the manifest next might take the other one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := {key for key in keys if keys.count(key) > 1 and key != "<<"}:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {min(twice)} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read(content: bytes, name: str) -> Manifests:
    """Return the manifests in the file called `name`. Raises UsageError when one is off, or there is none."""
    try:
        return Manifests(_documents(content))
    except (yaml.YAMLError, ValueError) as error:
        why = " ".join(str(error).split())
    except RecursionError:
        why = "it is nested too deeply"
    raise UsageError(
        f"{name} has no manifests of Kubernetes.",
        why=f"{why[:1].upper()}{why[1:]}.",
        todo="Give what helm template or kustomize build prints.",
    )


def _documents(content: bytes) -> list[dict[str, Any]]:
    """Return the documents. Raises YAMLError, ValueError."""
    if len(content) > MOST_BYTES:
        raise TooLarge(f"it has more than {MOST_BYTES >> 20} MiB")
    _check_depth(content)
    found = [each for one in yaml.load_all(content, _Loader) for each in _flat(one)]
    if not found:
        raise ValueError("it has no document")
    for number, each in enumerate(found, 1):
        _check(each, number)
    return found


def _check_depth(content: bytes) -> None:
    """Raise TooLarge before documents are composed: that is recursion in C, where it ends the process."""
    depth = 0
    for event in yaml.parse(content, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise TooLarge("it is nested too deeply")


def _flat(document: Any) -> Iterator[Any]:
    """Yield a document, or those of a list of whatever kind; an empty one between two dashes is none."""
    if isinstance(document, dict) and isinstance(document.get("items"), list) and _is_list(document):
        for each in document["items"]:
            yield from _flat(each)
    elif document is not None:
        yield document


def _is_list(document: dict[str, Any]) -> bool:
    return str(document.get("kind")).endswith("List")


def _check(document: Any, number: int) -> None:
    try:
        msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise ValueError(f"document {number}: {error}") from None


def _address(document: dict[str, Any]) -> str:
    space = document["metadata"].get("namespace")
    return "/".join(str(part) for part in (document["kind"], space, document["metadata"]["name"]) if part)


decoding.learn(globals())
