"""Properties to tags: a concept's JSON properties as the numbers that filters compare.

Each value of a property is a tag of 64 bits: above bit 40 the hash of its key, below that of the value. A
list has a tag for each of its strings, numbers and booleans. What has no such value (null, an object, an
empty list) is the exception 0: the concept has the key, so it does not inherit it, and nothing finds it by
that key. Numbers are compared by value: 1 and 1.0 are the same, true is neither, nor is "1".

Two values may have the same tag, though hardly ever: `Wanted.held_by` compares the values themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from cortex_runtime.columns.filtering import Where
from cortex_runtime.columns.model import KEY_SHIFT, MAX_TAGS, InvalidOperationError

Scalar = str | int | float | bool
EXCEPTION = 0
_SCALARS = frozenset({str, int, float, bool})
_LARGEST = (1 << KEY_SHIFT) - 1
_LONGEST_KEPT = 64  # characters of a key whose hash is remembered
_UTF8 = "utf-8", "surrogatepass"  # lone surrogates are no characters, but must not make it fail


def tags_of(properties: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the tags of properties, ascending, each once: the same ones for ever.

    Raises InvalidOperationError when there are more than 1,024.
    """
    tags: set[int] = set()
    for key, value in properties.items():
        canonical = _canonical(value, MAX_TAGS)
        tags.update(_tags(key, canonical) if canonical else [_key(key) << KEY_SHIFT | EXCEPTION])
        if len(tags) > MAX_TAGS:
            raise InvalidOperationError(
                f"With property {key[:64]!r} there are more than {MAX_TAGS:,} different values. Put a"
                " long list into an object: that is kept, and not filtered by."
            )
    return tuple(sorted(tags))


class Wanted:
    """What a query asks of properties: of each key one of its values."""

    def __init__(self, values: Mapping[str, Scalar | Sequence[Scalar]]) -> None:
        self._values = {key: _canonical(value) for key, value in values.items()}

    @property
    def where(self) -> Where:
        """The same as a filter by tags."""
        return tuple(tuple(sorted(_tags(key, canonical))) for key, canonical in self._values.items())

    def held_by(self, properties: Mapping[str, Any]) -> bool:
        """Tell whether properties have what is asked for, without hashes."""
        return all(
            not canonical.isdisjoint(_canonical(properties.get(key)))
            for key, canonical in self._values.items()
        )


def _tags(key: str, canonical: set[bytes]) -> set[int]:
    high = _key(key) << KEY_SHIFT
    return {high | _value(each) for each in canonical}


def _canonical(value: Any, limit: int | None = None) -> set[bytes]:
    """Return the scalars of a value, the same bytes for the same value; not many more than the limit."""
    elements = value if isinstance(value, list | tuple) else (value,)
    # With their types, because True == 1; and each once, because a list may be long.
    distinct = {(type(each), each) for each in elements if type(each) in _SCALARS}
    canonical: set[bytes] = set()
    for _, each in distinct:
        canonical.add(_bytes_of(each))
        if limit is not None and len(canonical) > limit:
            break
    return canonical


def _bytes_of(value: Scalar) -> bytes:
    if isinstance(value, str):
        return b"s" + value.encode(*_UTF8)
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float) and not value.is_integer():
        return b"n" + value.hex().encode()
    return b"n" + f"{int(value):x}".encode()


def _key(key: str) -> int:
    return _short_key(key) if len(key) <= _LONGEST_KEPT else _hash(key.encode(*_UTF8), b"key") >> KEY_SHIFT


@lru_cache(maxsize=1 << 12)
def _short_key(key: str) -> int:
    return _hash(key.encode(*_UTF8), b"key") >> KEY_SHIFT


def _value(canonical: bytes) -> int:
    return 1 + _hash(canonical, b"value") % _LARGEST


def _hash(raw: bytes, kind: bytes) -> int:
    return int.from_bytes(blake2b(raw, digest_size=8, person=kind).digest(), "big")
