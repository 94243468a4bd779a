"""Length-prefixed joining: no two lists of parts give the same bytes."""

from __future__ import annotations


def framed(*parts: str | bytes | int) -> bytes:
    """Return the parts as bytes, each behind its length (4 bytes, big-endian); integers take 8 bytes."""
    out = bytearray()
    for part in parts:
        raw = (
            part.encode()
            if isinstance(part, str)
            else part.to_bytes(8, "big", signed=True)
            if isinstance(part, int)
            else part
        )
        out += len(raw).to_bytes(4, "big") + raw
    return bytes(out)
