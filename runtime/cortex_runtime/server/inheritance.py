"""What a concept has: its own properties, and those of the concepts it inherits from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cortex_runtime.changelog.entries import ConceptEntry


@dataclass(frozen=True, slots=True)
class Effective:
    """A concept's effective properties; `inherited` says for those that are not its own whose they are."""

    properties: dict[str, Any]
    inherited: dict[str, str]


def effective(own: ConceptEntry, ancestors: Iterable[ConceptEntry]) -> Effective:
    """Return what a concept has with these ancestors, nearest first.

    Of each property the nearest one's counts; when that is null, the concept does not have it.
    """
    found = dict(own.properties)
    inherited: dict[str, str] = {}
    for ancestor in ancestors:
        for key, value in ancestor.properties.items():
            if key not in found:
                found[key], inherited[key] = value, ancestor.id
    hidden = {key for key, value in found.items() if value is None}
    return Effective(
        {key: value for key, value in found.items() if key not in hidden},
        {key: name for key, name in inherited.items() if key not in hidden},
    )
