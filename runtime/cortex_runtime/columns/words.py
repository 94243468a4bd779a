"""Text to words, in any script.

A text is folded: NFKC, casefold, invisible characters left out (joiners, direction marks, variation
selectors, soft hyphens, Arabic tatweel), decimal digits of all scripts as those of ASCII, the four letters i
of Turkish as one, NFKC again. So case, canonical and compatibility forms make no difference.

Then it is cut: a word is a letter or digit with the letters, digits and marks that follow it; where a script
has no spaces, all pairs of adjacent characters instead (Lucene's CJKAnalyzer does the same); each pictograph
is a word, and so is each flag. Only when there is none of them, punctuation and other signs are words.

Sources: Unicode Standard Annex 15 (normalisation), 44 (properties), Unicode 14, section 5.18 (case folding).
What kind a character is says the table of characters.py, so that a newer Python changes nothing.
Time is proportional to the length, for marks in any order too (see _in_order).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np

from cortex_runtime.columns import characters
from cortex_runtime.columns.characters import (
    DENSE,
    DIGIT,
    FLAG,
    IGNORED,
    LETTER,
    MARK,
    NEW,
    PICTURE,
    SYMBOL,
)

# For str.translate: everything of ASCII that is no part of a word is a space, letters are small. NUL stays:
# no word has it, so it can stand between texts.
ASCII_WORDS = "\0" + "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(1, 128))
_SHORT = 1024  # characters: so few marks are put in order quickly enough by any method
_LONG_RUN = 32  # marks
_FIRST_ASTRAL = 0x10000
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_DOTLESS_I = "\u0131"
_HALFWIDTH_VOICE_MARKS = "\uff9e\uff9f"  # letters that normalisation makes marks of


class NothingToEncodeError(ValueError):
    """The text has no word and no symbol: it is empty, or only spaces and controls."""


def words_of(text: str) -> list[str]:
    """Return the words of a text in order, and the pairs of scripts without spaces (see `is_pair`).

    Raises NothingToEncodeError when there is neither a word nor a symbol.
    """
    if text.isascii() and (words := text.translate(ASCII_WORDS).replace("\0", " ").split()):
        return words
    folded = fold(text)
    words = _cut(folded) or _patterns_for(folded).symbol.findall(folded)
    if not words:
        raise NothingToEncodeError(
            f"The text has no word and no symbol, so nothing to find it by: {_emptiness(text)}."
        )
    return words


def warm_up() -> None:
    """Compile the regular expressions, which takes 0.1 s, before the first text needs them."""
    for end in (_FIRST_ASTRAL, characters.CODES):
        _patterns_below(end)


def is_pair(word: str) -> bool:
    """Tell whether what `words_of` returned is one or two characters of a script without spaces."""
    return _kind(word[0]) in (DENSE, MARK)


def fold(text: str) -> str:
    """Return a text without what makes no difference: forms, case, invisible characters."""
    if not _has_new(text):
        return _fold_known(text)
    pieces = _patterns_for(text).new.split(text)  # in turn: what Unicode 14 knows, what it does not
    pieces[::2] = [_fold_known(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _has_new(text: str) -> bool:
    if _ASTRAL.search(text) is None:
        return _patterns_below(_FIRST_ASTRAL).new.search(text) is not None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return bool((characters.kinds()[codes] & NEW).any())


class _Patterns:
    """The regular expressions of the table of characters, for characters below `end`.

    Python looks through all ranges above U+FFFF one by one, so texts without such characters have their own.
    """

    def __init__(self, end: int) -> None:
        def set_of(*kinds: int, also: str = "") -> str:
            return f"[{characters.set_of(*kinds, also=also, end=end)}]"

        letters, dense = (LETTER, LETTER | NEW, DIGIT), (DENSE, DENSE | NEW)
        pictures = (PICTURE, PICTURE | NEW)
        self.word = re.compile(
            f"{set_of(FLAG)}{{2}}|{set_of(FLAG, *pictures)}"  # first, for they are in few ranges
            f"|{set_of(*letters)}{set_of(*letters, MARK)}*|{set_of(*dense)}{set_of(*dense, MARK)}*"
        )
        self.dense = re.compile(set_of(*dense))
        self.symbol = re.compile(set_of(SYMBOL))
        self.folded = re.compile(set_of(IGNORED, DIGIT, also=_DOTLESS_I))
        self.new = re.compile(f"({set_of(*(kind | NEW for kind in (LETTER, DENSE, PICTURE)))}+)")
        self.long_run = re.compile(f"{set_of(MARK, also=_HALFWIDTH_VOICE_MARKS)}{{{_LONG_RUN},}}")


@cache
def _patterns_below(end: int) -> _Patterns:
    return _Patterns(end)


def _patterns_for(text: str) -> _Patterns:
    return _patterns_below(_FIRST_ASTRAL if _ASTRAL.search(text) is None else characters.CODES)


def _fold_known(text: str) -> str:
    folded = _normalized(text).casefold()
    # The capital I with a dot is i and a dot now; so all four letters of Turkish are one.
    folded = _patterns_for(folded).folded.sub(_folded, folded).replace("i\u0307", "i")
    return _normalized(folded)


def _folded(match: re.Match[str]) -> str:
    character = match[0]
    if character == _DOTLESS_I:
        return "i"
    return str(unicodedata.decimal(character)) if _kind(character) == DIGIT else ""


def _normalized(text: str) -> str:
    if len(text) > _SHORT:
        text = _patterns_for(text).long_run.sub(_in_order, text)
    return unicodedata.normalize("NFKC", text)


def _in_order(match: re.Match[str]) -> str:
    """Return a run of marks in canonical order (UAX 15, D109).

    Python's normalisation sorts by insertion: a mebibyte of marks in bad order would take it half an hour,
    and takes it no time when they are in order already.
    """
    marks = "".join(unicodedata.normalize("NFKD", mark) for mark in match[0])
    starters, keys = 0, []
    for mark in marks:
        rank = unicodedata.combining(mark)
        starters += rank == 0
        keys.append((starters, rank))
    return "".join(marks[place] for place in sorted(range(len(marks)), key=keys.__getitem__))


def _cut(text: str) -> list[str]:
    patterns = _patterns_for(text)
    words: list[str] = patterns.word.findall(text)
    if patterns.dense.search(text) is None:
        return words
    cut: list[str] = []
    for word in words:
        if len(word) > 1 and is_pair(word):
            cut.extend(first + second for first, second in pairwise(word))
        else:
            cut.append(word)
    return cut


def _kind(character: str) -> int:
    return characters.load()[ord(character)] & ~NEW


def _emptiness(text: str) -> str:
    if not text:
        return "it is empty"
    return f"it has only spaces, controls and marks, the first U+{ord(text[0]):04X}"
