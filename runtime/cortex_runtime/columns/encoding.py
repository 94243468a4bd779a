"""Text to active bits: a sparse distributed representation, the same for the same text for ever.

Up to 40 of 65,536 bits. Each distinct word is a bit below 49,152. A word that the prior puts in at most
1 % of texts adds its two rarest 4-grams as bits from 49,152 on, so that misspelt and inflected words still
share bits. Nothing here depends on what a cortex holds: only weights do, and those are not stored.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns import prior
from cortex_runtime.columns.words import words_of

BITS = prior.BITS
WORD_BITS = 49_152
MAX_BITS = 40
PAD = 65_535  # Never a bit: fills the unused places of a column's row.
RARE_SHARE = 0.01
_GRAM = 4
_GRAM_BITS = PAD - WORD_BITS
_LONGEST_PARSED = 64  # characters of a word that are cut into n-grams, and the longest word that is cached
_CACHED_WORDS = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """`bits` uint16[1..40], ascending, without PAD; `words`: how many of them stand for words."""

    bits: npt.NDArray[np.uint16]
    words: int


def word_bit(word: str) -> int:
    """Return the bit of a word, in [0, 49152)."""
    return _hash(word, b"word") % WORD_BITS


def gram_bits(word: str) -> set[int]:
    """Return the bits of a word's 4-grams, its ends marked, in [49152, 65535)."""
    marked = f"<{word[:_LONGEST_PARSED]}>"
    grams = {marked[i : i + _GRAM] for i in range(max(1, len(marked) - _GRAM + 1))}
    return {_gram_bit(gram) for gram in grams}


class Encoder:
    """Encodes texts, and remembers the bits of the words it met (bounded)."""

    def __init__(self) -> None:
        frozen = prior.load()
        self._levels = frozen.levels.tolist()
        self._common = prior.level(RARE_SHARE * frozen.texts)
        self._words: dict[str, tuple[int, ...]] = {}
        self._pairs: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> Encoding:
        """Return a text's bits. Raises NothingToEncodeError (a ValueError) when it has no word or symbol."""
        words, pairs = words_of(text)
        known = self._words
        bits: set[int] = set()
        for word in words:
            bits.update(known.get(word) or self._learn(word, known, with_grams=True))
        for pair in pairs:
            bits.update(self._pairs.get(pair) or self._learn(pair, self._pairs, with_grams=False))
        ordered = sorted(bits) if len(bits) <= MAX_BITS else self._most_informative(bits)
        return Encoding(np.array(ordered, dtype=np.uint16), bisect_left(ordered, WORD_BITS))

    def encode_many(self, texts: Iterable[str]) -> list[Encoding]:
        """Return the bits of several texts, in order. Raises as `encode`."""
        return [self.encode(text) for text in texts]

    def _most_informative(self, bits: set[int]) -> list[int]:
        levels = self._levels
        words = sorted((levels[bit], bit) for bit in bits if bit < WORD_BITS)
        grams = sorted((levels[bit], bit) for bit in bits if bit >= WORD_BITS)
        return sorted(bit for _, bit in (words + grams)[:MAX_BITS])

    def _learn(self, word: str, known: dict[str, tuple[int, ...]], *, with_grams: bool) -> tuple[int, ...]:
        bit = word_bit(word)
        bits: tuple[int, ...] = (bit,)
        if with_grams and self._levels[bit] <= self._common:
            rarest = sorted(gram_bits(word), key=lambda gram: (self._levels[gram], gram))
            bits = (bit, *rarest[:2])
        if len(word) <= _LONGEST_PARSED:
            if len(known) >= _CACHED_WORDS:
                known.clear()
            known[word] = bits
        return bits


@lru_cache(maxsize=1 << 16)
def _gram_bit(gram: str) -> int:
    return WORD_BITS + _hash(gram, b"gram") % _GRAM_BITS


def _hash(text: str, kind: bytes) -> int:
    # Lone surrogates are no characters, but they must not make a text unencodable.
    raw = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=8, person=kind).digest(), "big")
