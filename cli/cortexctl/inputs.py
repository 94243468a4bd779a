"""Words of the call that name things of the service, checked before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cortex_runtime.formats.messages import ConceptId, CortexName, TenantName
from cortexctl.errors import UsageError

T = TypeVar("T")
U = TypeVar("U")


def tenant(name: str) -> str:
    """Return a tenant's name. Raises UsageError."""
    return _checked(name, TenantName, "tenant", "3 to 40 of a-z, 0-9 and -, neither first nor last a -")


def cortex(name: str) -> str:
    """Return a cortex' name. Raises UsageError."""
    return _checked(name, CortexName, "cortex", "1 to 40 of a-z, 0-9 and -, neither first nor last a -")


def concept(name: str) -> str:
    """Return a concept's id. Raises UsageError."""
    return _checked(name, ConceptId, "concept id", "1 to 256 characters, no control characters")


def person(name: str) -> str:
    """Return a person's name. Raises UsageError."""
    if name.strip() == name and name.isprintable() and 1 <= len(name) <= 100:
        return name
    raise UsageError(
        f"{name!r} is no name.", why="A name has 1 to 100 printable characters.", todo="Give another --by."
    )


def only_one(argument: str | None, option: str | None, name: str, option_name: str) -> str | None:
    """Return what was given as an argument or as an option. Raises UsageError when it was both."""
    if argument is not None and option is not None:
        raise UsageError(f"{name} and {option_name} say the same.", why="Both are given.", todo="Give one.")
    return option if argument is None else argument


def one_of(first: T | None, second: U | None, first_name: str, second_name: str) -> T | U:
    """Return which of two was given. Raises UsageError unless exactly one was."""
    if first is not None and second is None:
        return first
    if second is not None and first is None:
        return second
    raise UsageError(f"Give either {first_name} or {second_name}.", why="Both or neither are given.")


def file(path: Path) -> bytes:
    """Return a file's content. Raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", why=str(error), todo="Name another file.") from error


def message(content: dict[str, Any], type_: type[Any], what: str) -> Any:
    """Return a message of the API made of `content`. Raises UsageError with the field that is off."""
    try:
        return msgspec.convert(content, type_)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"The {what} is not well-formed.", why=str(error), todo="Mend that value."
        ) from error


def _checked(value: str, type_: Any, what: str, rule: str) -> str:
    try:
        checked: str = msgspec.convert(value, type_)
        checked.encode()
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UsageError(
            f"{value!r} is no {what}.", why=f"A {what} has {rule}.", todo="Choose another."
        ) from None
    return checked
