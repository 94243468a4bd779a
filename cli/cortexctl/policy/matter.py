"""What rules look at, and how the evaluator wants it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cortexctl.policy.rules import Rule, Subject

MOST_DEPTH = 100


class Matter(Protocol):
    """A plan, or a list of manifests."""

    subject: Subject

    def seen_by(self, rule: Rule) -> tuple[str, ...]:
        """Return the addresses of what the rule looks at."""

    def document(self, rule: Rule) -> Any:
        """Return the part of the input that the rule looks at, escaped."""


class TooLarge(ValueError):
    """A document stands for more than any real one has, or has no end."""


def escaped(value: Any, *, most: int = 1_000_000) -> Any:
    """Return plain data, of at most so many values, with its texts as they stand between the quotes of JSON.

    So the evaluator keeps texts itself; given as they are it prints them as they are, quotes and all. A few
    lines of YAML with aliases can stand for more values than any memory holds. Raises TooLarge.
    """
    left = most

    def escape(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MOST_DEPTH:
            raise TooLarge("it stands for more values than any real one has, or is nested too deeply")
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, Mapping):
            return {_text(str(key)): escape(each, depth + 1) for key, each in value.items()}
        if isinstance(value, Sequence):
            return [escape(each, depth + 1) for each in value]
        # What is neither is a date of YAML.
        return value if value is None or isinstance(value, bool | int | float) else _text(str(value))

    return escape(value, 0)


def _text(value: str) -> str:
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return json.dumps(value, ensure_ascii=False)[1:-1]
