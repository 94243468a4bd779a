"""The frozen prior: in how many texts of a reference corpus each bit occurs.

It is a part of the encoding. Another prior gives other bits for the same text, so a file is never
changed: it gets a new version, and a cortex says which one it was encoded with.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

VERSION = 1
BITS = 65_536
STEPS_PER_OCTAVE = 10
_HEADER = struct.Struct("<4sHI16s")
_MAGIC = b"CXPR"


@dataclass(frozen=True, slots=True)
class Prior:
    """`levels` uint8[65536]: round(10·log2(1 + texts with the bit)); `texts`: size of the corpus."""

    levels: npt.NDArray[np.uint8]
    texts: int


def level(texts: float) -> int:
    """Return the level of a bit that occurs in so many texts."""
    return round(STEPS_PER_OCTAVE * float(np.log2(1 + texts)))


def pack(frequencies: npt.NDArray[np.int64], texts: int) -> bytes:
    """Return a prior's file: header, digest, and the levels of `frequencies` int64[65536], compressed."""
    levels = np.round(STEPS_PER_OCTAVE * np.log2(1 + frequencies)).astype(np.uint8).tobytes()
    digest = hashlib.blake2b(levels, digest_size=16).digest()
    return _HEADER.pack(_MAGIC, VERSION, texts, digest) + zlib.compress(levels, 9)


@cache
def load() -> Prior:
    """Return the shipped prior. Raises ValueError when the file is damaged or of another version."""
    path = Path(__file__).parent / f"prior-{VERSION}.bin"
    raw = path.read_bytes()
    magic, version, texts, digest = _HEADER.unpack_from(raw)
    if (magic, version) != (_MAGIC, VERSION):
        raise ValueError(f"{path} is not a prior of version {VERSION}. Install the package again.")
    levels = zlib.decompress(raw[_HEADER.size :])
    if len(levels) != BITS or hashlib.blake2b(levels, digest_size=16).digest() != digest:
        raise ValueError(f"{path} is damaged. Install the package again.")
    return Prior(np.frombuffer(levels, dtype=np.uint8), texts)
