"""What kind of character each code point is: a table of Unicode 14, shipped, the same on every machine.

Python's own tables follow its version (3.11 has Unicode 14, 3.13 has 15.1), so that asking them would give
other bits for the same text on another machine. Of Python are used only what Unicode promises never to
change for a character once it is there: normalisation, case folding, and the values of digits. Characters
that came after Unicode 14 are marked as NEW: text folds them in no way, but they are words all the same.

The file: header, digest, and uint8[1114112], one kind a code point, compressed. Like the prior it never
changes: another table is another encoding.
"""

from __future__ import annotations

import hashlib
import struct
import unicodedata
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

UNICODE = "14.0.0"
CODES = 0x110000
# A kind: nothing (space, control, surrogate), part of a word, mark on the character before it, letter of a
# script that is written without spaces, punctuation or sign, pictograph, half of a flag, invisible (as if it
# was not there), decimal digit that is not one of ASCII's.
OTHER, LETTER, MARK, DENSE, SYMBOL, PICTURE, FLAG, IGNORED, DIGIT = range(9)
NEW = 0x80  # added to the kind of what Unicode 14 does not know
_HEADER = struct.Struct("<4sH16s")
_MAGIC = b"CXCH"
_VERSION = 1

_Ranges = tuple[tuple[int, int], ...]
# Scripts that are written without spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, Tai Le, New Tai
# Lue, Tai Tham, Balinese, Javanese, Tai Viet, Ahom, Bopomofo, kana, Yi, Han, cuneiform, hieroglyphs,
# Tangut, Khitan, Nushu. Planes 2 and 3 are reserved for Han.
_UNSPACED: _Ranges = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF),
    (0x1A20, 0x1AAF), (0x1B00, 0x1B7F), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035),
    (0x3038, 0x303C), (0x3040, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0xA48F), (0xA980, 0xA9FF), (0xAA60, 0xAADF), (0xF900, 0xFAFF), (0x11700, 0x1174F),
    (0x12000, 0x1254F), (0x13000, 0x1345F), (0x14400, 0x1467F), (0x16FE0, 0x18D8F), (0x1AFF0, 0x1B2FF),
    (0x20000, 0x3FFFD),
)  # fmt: skip
# Default_Ignorable_Code_Point, without the zero-width space, which stands between words; and the strokes
# that only make a word longer (Arabic tatweel, N'Ko lajanyalan).
_INVISIBLE: _Ranges = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x0640, 0x0640), (0x061C, 0x061C), (0x07FA, 0x07FA),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200C, 0x200F), (0x202A, 0x202E),
    (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# Where signs (category So, and what is yet to come) are pictographs, which count as words.
_PICTURES: _Ranges = (
    (0x231A, 0x231B), (0x23E9, 0x23FA), (0x2600, 0x27BF), (0x2B50, 0x2B55), (0x1F000, 0x1F0FF),
    (0x1F170, 0x1F1AD), (0x1F200, 0x1FAFF),
)  # fmt: skip
_FLAGS: _Ranges = ((0x1F1E6, 0x1F1FF),)
_UNUSED_PLANES: _Ranges = ((0x40000, CODES - 1),)


def classify(code: int) -> int:
    """Return the kind of a code point by this Python's Unicode. Only for making the table."""
    category = unicodedata.category(chr(code))
    if _within(code, _INVISIBLE):
        return IGNORED
    if category == "Cn":
        return _reserved(code)
    if category == "Nd" and code > 0x7F:
        return DIGIT
    if category[0] in "LN":
        return DENSE if _within(code, _UNSPACED) else LETTER
    return MARK if category[0] == "M" else _sign(code, category)


def _sign(code: int, category: str) -> int:
    if _within(code, _FLAGS):
        return FLAG
    if category == "So" and _within(code, _PICTURES):
        return PICTURE
    return SYMBOL if category[0] in "SP" or category == "Co" else OTHER


def _reserved(code: int) -> int:
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or _within(code, _UNUSED_PLANES):
        return OTHER  # no character, now and ever; or not before all else is used
    if _within(code, _PICTURES):
        return NEW | PICTURE
    return NEW | (DENSE if _within(code, _UNSPACED) else LETTER)


def _within(code: int, ranges: _Ranges) -> bool:
    return any(low <= code <= high for low, high in ranges)


def build() -> bytes:
    """Return the table's file. Raises ValueError unless this Python has Unicode 14."""
    if unicodedata.unidata_version != UNICODE:
        raise ValueError(
            f"the table is made by Unicode {UNICODE}, not {unicodedata.unidata_version}: use Python 3.11"
        )
    table = bytes(classify(code) for code in range(CODES))
    digest = hashlib.blake2b(table, digest_size=16).digest()
    return _HEADER.pack(_MAGIC, _VERSION, digest) + zlib.compress(table, 9)


@cache
def load() -> bytes:
    """Return the shipped table, uint8[1114112]. Raises ValueError when the file is damaged."""
    path = Path(__file__).parent / f"characters-{_VERSION}.bin"
    raw = path.read_bytes()
    if len(raw) < _HEADER.size or _HEADER.unpack_from(raw)[:2] != (_MAGIC, _VERSION):
        raise ValueError(f"{path} is not a table of characters. Install the package again.")
    try:
        table = zlib.decompress(raw[_HEADER.size :])
    except zlib.error:
        table = b""
    if hashlib.blake2b(table, digest_size=16).digest() != _HEADER.unpack_from(raw)[2]:
        raise ValueError(f"{path} is damaged. Install the package again.")
    return table


def kinds() -> npt.NDArray[np.uint8]:
    """Return the shipped table as an array uint8[1114112]. Raises as `load`."""
    return np.frombuffer(load(), dtype=np.uint8)


def set_of(*wanted: int, also: Iterable[str] = (), end: int = CODES) -> str:
    """Return what stands between the brackets of a regular expression for all characters of some kinds.

    Those below `end` alone. When there are none it is the last code point, which is no character.
    """
    inside = np.isin(kinds()[:end], wanted)
    inside[[ord(character) for character in also]] = True
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).tolist()
    ranges = zip(edges[::2], edges[1::2], strict=True)
    return "".join(f"\\U{first:08x}-\\U{after - 1:08x}" for first, after in ranges) or chr(CODES - 1)
