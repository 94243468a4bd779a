"""Decoders that are ready before any thread needs them.

msgspec learns a Struct's fields when it first decodes one. A thread that decodes another one meanwhile finds
fields without types and crashes the process (msgspec 0.22). So modules let it learn as they are imported, and
one thread at a time does that.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


def learn(module: Mapping[str, object]) -> None:
    """Let msgspec learn the Structs among a module's globals."""
    for each in module.values():
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            msgspec.json.Decoder(each)
