"""Rules: the files of policies/rego/terraform and policies/rego/kubernetes, each with its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl import policies
from cortexctl.errors import Refused

Subject = Literal["terraform", "kubernetes"]
Words = Annotated[str, Meta(min_length=1, max_length=600)]


class _Custom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    severity: Literal["critical", "high", "medium"]
    remedy: Words
    types: Annotated[list[str], Meta(min_length=1)]
    having: str | None = None
    attributes: list[str] | None = None
    configured: list[str] | None = None


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Words
    description: Words
    custom: _Custom


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `types` are the resources or kinds that it looks at ("*" for all).

    Of these it looks at those that have the attribute `having`, known or not, at their `attributes`, and at
    what is `configured` of them. Without these it looks at everything.
    """

    name: str
    subject: Subject
    title: str
    description: str
    severity: str
    remedy: str
    types: tuple[str, ...]
    having: str | None
    attributes: tuple[str, ...] | None
    configured: tuple[str, ...] | None
    path: Path
    source: str

    def looks_at(self, type_: str) -> bool:
        """Return whether the rule looks at resources or documents of this type."""
        return type_ in self.types or self.types == ("*",)


def load(subject: Subject) -> tuple[Rule, ...]:
    """Return the rules of a subject by their names. Raises Refused when one is not usable."""
    return tuple(_read(path, subject) for path in sorted((policies.find("rego") / subject).glob("*.rego")))


def libraries() -> Iterator[tuple[str, str]]:
    """Yield what the rules share, as names and sources."""
    for path in sorted((policies.find("rego") / "lib").glob("*.rego")):
        yield str(path), path.read_text(encoding="utf-8")


def _read(path: Path, subject: Subject) -> Rule:
    import yaml  # noqa: PLC0415 - --help must be quick

    try:
        source = path.read_text(encoding="utf-8")
        found = msgspec.convert(yaml.safe_load(_comment(source, f"{subject}.{path.stem}")), _Metadata)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise Refused(
            f"The rule {path} is not usable.", why=" ".join(str(error).split()), todo="Mend the file."
        ) from error
    custom = found.custom
    return Rule(
        name=path.stem,
        subject=subject,
        title=found.title,
        description=found.description.strip(),
        severity=custom.severity,
        remedy=custom.remedy,
        types=tuple(custom.types),
        having=custom.having,
        attributes=_names(custom.attributes),
        configured=_names(custom.attributes if custom.configured is None else custom.configured),
        path=path,
        source=source,
    )


def _names(listed: list[str] | None) -> tuple[str, ...] | None:
    return None if listed is None else tuple(listed)


def _comment(source: str, package: str) -> str:
    """Return the YAML of the METADATA above the package. Raises ValueError when it is not as it must be."""
    above, found, _ = source.partition(f"\npackage {package}\n")
    first, *lines = above.splitlines()
    if not found:
        raise ValueError(f"its package is not {package}")
    if first != "# METADATA" or not all(line.startswith("#") for line in lines):
        raise ValueError("it does not begin with # METADATA, and nothing else before its package")
    return "\n".join(line[2:] for line in lines)


decoding.learn(globals())
