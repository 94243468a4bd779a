"""Text to words: NFKC, casefolded, in any script."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Blocks of scripts that are written without spaces between words: Thai and Lao, Tibetan, Myanmar, Khmer,
# kana and Han with their extensions.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F),
    (0x20000, 0x323AF),
)  # fmt: skip
_OTHER, _LETTER, _MARK, _DENSE, _SYMBOL = range(5)
_kinds: dict[str, int] = {}


class NothingToEncodeError(ValueError):
    """The text has no word and no symbol: it is empty, or only spaces and controls."""


def words_of(text: str) -> tuple[list[str], list[str]]:
    """Return (words, pairs): words between spaces, and character 2-grams of scripts without spaces.

    A text without any of them gives its symbols (emoji, punctuation) as words, one each.
    Raises NothingToEncodeError when there is none either.
    """
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())
        if found:
            return found, []
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words, pairs = _split(folded)
    if not words and not pairs:
        words = [character for character in folded if _kind(character) == _SYMBOL]
        if not words:
            raise NothingToEncodeError("The text has no word and no symbol, so nothing to find it by.")
    return words, pairs


def _split(text: str) -> tuple[list[str], list[str]]:
    words: list[str] = []
    pairs: list[str] = []
    run: list[str] = []
    dense = False
    for character in text:
        kind = _kind(character)
        if run and kind == _MARK:
            run.append(character)
            continue
        if run and (kind not in (_LETTER, _DENSE) or dense != (kind == _DENSE)):
            _finish(run, dense, words, pairs)
            run = []
        if kind in (_LETTER, _DENSE):
            dense = kind == _DENSE
            run.append(character)
    if run:
        _finish(run, dense, words, pairs)
    return words, pairs


def _finish(run: list[str], dense: bool, words: list[str], pairs: list[str]) -> None:
    if not dense:
        words.append("".join(run))
    elif len(run) == 1:
        pairs.append(run[0])
    else:
        pairs.extend(first + second for first, second in pairwise(run))


def _kind(character: str) -> int:
    kind = _kinds.get(character)
    if kind is None:
        kind = _kinds[character] = _classify(character)
    return kind


def _classify(character: str) -> int:
    category = unicodedata.category(character)
    if category[0] in "LN":
        code = ord(character)
        return _DENSE if any(low <= code <= high for low, high in _UNSPACED) else _LETTER
    if category[0] == "M":
        return _MARK
    return _SYMBOL if category[0] in "SP" else _OTHER
