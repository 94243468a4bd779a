"""Decoders that are ready before any thread needs them.

msgspec learns a Struct's fields when it first decodes one. A thread that decodes another one meanwhile finds
fields without types and crashes the process (msgspec 0.22). So modules let it learn as they are imported, and
one thread at a time does that.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


def learn(module: Mapping[str, object]) -> None:
    """Let msgspec learn the Structs that a module, of which these are the globals, defines."""
    for each in module.values():
        is_struct = isinstance(each, type) and issubclass(each, msgspec.Struct)
        if is_struct and each.__module__ == module["__name__"]:
            msgspec.json.Decoder(each)
