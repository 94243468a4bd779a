"""Text to active bits: a sparse distributed representation, the same for the same text for ever.

Up to 40 of 65,536 bits. Each distinct word is a bit below 49,152. A word that the prior puts in at most
1 % of texts adds its two rarest 4-grams as bits from 49,152 on, so that misspelt and inflected words still
share bits. Over 40 the most informative stay: words first, then by the prior. Nothing here depends on what a
cortex holds: only weights do, and those are not stored.

Nor does anything depend on the machine, the order of texts, the size of a batch or what was encoded before:
words are cut by tables that are shipped (words.py, characters.py), bits are BLAKE2b of UTF-8, all numbers are
integers. Vectors of floats become the same kind of bits in vectors.py.

Sources: Kanerva, Sparse Distributed Memory (1988); Ahmad and Hawkins, Properties of sparse distributed
representations (2015).

Limits: a text has at most 2**20 characters. English of that length takes 0.1 s, and the worst that is known
takes 5 s (a million different pairs of Han) or 300 MB (ligatures that stand for 18 letters each).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import overload

import msgspec
import numpy as np
import numpy.typing as npt

from cortex_runtime.columns import prior, vectors
from cortex_runtime.columns.words import ASCII_WORDS, is_pair, warm_up, words_of

BITS = prior.BITS
WORD_BITS = 49_152
MAX_BITS = 40
PAD = 65_535  # Never a bit: fills the unused places of a column's row.
MAX_CHARACTERS = 1 << 20
RARE_SHARE = 0.01
_GRAM = 4
_GRAM_BITS = PAD - WORD_BITS
_LONGEST_PARSED = 64  # characters of a word that are cut into n-grams, and the longest word that is cached
_CACHED_WORDS = 1 << 17
_TOGETHER = 256  # texts, if they have no more than MAX_CHARACTERS in all
_BETWEEN = "\0"  # stands between texts in a list of words: no text has such a word
_FIELDS, _FIELD = np.dtype("<u8"), np.dtype("<u2")  # a word's bits, and each of them
_PADS = (1 << 64) - 1
_FIRST_GRAM = np.uint16(WORD_BITS)
_NO_ROWS = np.empty((0, MAX_BITS), dtype=np.uint16)
_NO_COUNTS = np.empty(0, dtype=np.uint8)

Bits = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.uint8]
_Keys = npt.NDArray[np.uint32]


class TextTooLongError(ValueError):
    """The text has more than 2**20 characters."""


class Encoding(msgspec.Struct, frozen=True, eq=False, gc=False):
    """`bits` uint16[1..40], ascending, without PAD; `words`: how many of them stand for words.

    dimension: length of the vector that the bits came from, 0 for a text.
    """

    bits: Bits
    words: int
    dimension: int = 0


class Encodings(Sequence[Encoding]):
    """Several encodings as arrays, by number: a sequence of Encoding whose bits are views.

    rows: uint16[n, 40], each ascending and then padded with PAD. sizes: uint8[n], how many bits. words:
    uint8[n], how many of them stand for words. dimension: of the vectors they came from, 0 for texts.
    """

    __slots__ = ("dimension", "rows", "sizes", "words")

    def __init__(self, rows: Bits, sizes: Counts, words: Counts, dimension: int = 0) -> None:
        self.rows, self.sizes, self.words, self.dimension = rows, sizes, words, dimension

    def __len__(self) -> int:
        return self.sizes.size

    @overload
    def __getitem__(self, index: int) -> Encoding: ...
    @overload
    def __getitem__(self, index: slice) -> Encodings: ...
    def __getitem__(self, index: int | slice) -> Encoding | Encodings:
        if isinstance(index, slice):
            return Encodings(self.rows[index], self.sizes[index], self.words[index], self.dimension)
        return Encoding(self.rows[index, : self.sizes[index]], self.words.item(index), self.dimension)

    def __iter__(self) -> Iterator[Encoding]:
        dimension = self.dimension
        for row, size, words in zip(self.rows, self.sizes.tolist(), self.words.tolist(), strict=True):
            yield Encoding(row[:size], words, dimension)


def word_bit(word: str) -> int:
    """Return the bit of a word, in [0, 49152)."""
    return _hash(word, b"word") % WORD_BITS


def gram_bits(word: str) -> set[int]:
    """Return the bits of a word's 4-grams, its ends marked, in [49152, 65535)."""
    marked = f"<{word[:_LONGEST_PARSED]}>"
    grams = {marked[i : i + _GRAM] for i in range(max(1, len(marked) - _GRAM + 1))}
    return {_gram_bit(gram) for gram in grams}


class Encoder:
    """Encodes texts and vectors, and remembers the bits of the words it met (bounded).

    May be used by several threads at once.
    """

    def __init__(self) -> None:
        self._levels = prior.load().levels
        self._words = _Words()
        warm_up()

    def encode(self, text: str) -> Encoding:
        """Return a text's bits.

        Raises NothingToEncodeError when it has no word or symbol, and TextTooLongError when it has more than
        2**20 characters; both are ValueErrors.
        """
        _check_length(text)
        fields = self._fields(words_of(text)).view(_FIELD)
        fields.sort()
        # Of equal ones the last; and not PAD, which is the very last.
        bits = fields[:-1][fields[1:] != fields[:-1]].astype(np.uint16, copy=False)
        if bits.size > MAX_BITS:
            bits = self._most_informative(bits.astype(np.uint32)).astype(np.uint16)
        return Encoding(bits, int(bits.searchsorted(_FIRST_GRAM)))

    def encode_many(self, texts: Iterable[str]) -> Encodings:
        """Return the bits of several texts, in order: those of `encode`, in half the time. Raises as it."""
        given = list(texts)
        parts = [self._encode_some(given[at : at + _TOGETHER]) for at in range(0, len(given), _TOGETHER)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def encode_vector(self, vector: vectors.Vector) -> Encoding:
        """Return the bits of a vector: [d] of float32, float64 or a list of numbers (see vectors.py).

        Raises VectorError (a ValueError) when it is no vector, or has no direction.
        """
        return _of_vectors(vectors.checked(vector))[0]

    def encode_vectors(self, many: vectors.Vectors) -> Encodings:
        """Return the bits of vectors [n, d], in order: those of `encode_vector`. Raises VectorError."""
        return _of_vectors(vectors.checked_many(many))

    def _encode_some(self, texts: list[str]) -> Encodings:
        for text in texts:
            _check_length(text)
        if len(texts) > 1 and sum(map(len, texts)) > MAX_CHARACTERS:
            half = len(texts) // 2
            return _joined([self._encode_some(texts[:half]), self._encode_some(texts[half:])])
        fields = self._fields(_ascii_words(texts))
        ends = np.flatnonzero(fields == _PADS)
        # Not so plain: other scripts, or a text of symbols alone.
        if ends.size != len(texts) or (np.diff(ends, prepend=-1) == 1).any():
            fields = self._fields([word for text in texts for word in (*words_of(text), _BETWEEN)])
        rows = np.cumsum(fields == _PADS, dtype=np.uint32) << np.uint32(16)
        keys = (rows[:, None] | fields.view(_FIELD).reshape(-1, 4)[:, :3]).ravel()
        keys.sort()
        keys = keys[:-1][keys[1:] != keys[:-1]]  # the very last is PAD, as at the end of each row
        keys = keys[keys & np.uint32(PAD) != PAD]
        return self._rows(keys, len(texts))

    def _fields(self, words: list[str]) -> npt.NDArray[np.uint64]:
        return np.fromiter(map(self._words.__getitem__, words), _FIELDS, len(words))

    def _rows(self, keys: _Keys, count: int) -> Encodings:
        """Return rows of ascending keys: number of the row << 16 | bit."""
        owners = keys >> 16
        sizes = np.bincount(owners, minlength=count)
        if sizes.max() > MAX_BITS:
            over = sizes[owners] > MAX_BITS
            keys = np.sort(np.concatenate([keys[~over], self._most_informative(keys[over])]))
            owners = keys >> 16
            sizes = np.minimum(sizes, MAX_BITS)
        bits = keys.astype(np.uint16)
        rows = np.full((count, MAX_BITS), PAD, dtype=np.uint16)
        rows[np.arange(MAX_BITS) < sizes[:, None]] = bits
        words = np.bincount(owners[bits < WORD_BITS], minlength=count)
        return Encodings(rows, sizes.astype(np.uint8), words.astype(np.uint8))

    def _most_informative(self, keys: _Keys) -> _Keys:
        """Return of each row's keys (row << 16 | bit) the 40 that say most, ascending.

        Words say more than n-grams, and the rarer by the prior more than others.
        """
        bits = keys & np.uint32(PAD)
        order = (keys >> np.uint32(16)).astype(np.uint64) << np.uint64(25)
        order |= (bits >= WORD_BITS).astype(np.uint64) << np.uint64(24)
        order |= self._levels[bits].astype(np.uint64) << np.uint64(16)
        order |= bits
        order.sort()
        owners = order >> np.uint64(25)
        ranks = np.arange(order.size) - owners.searchsorted(owners)
        best = order[ranks < MAX_BITS]
        chosen = (best >> np.uint64(25)) << np.uint64(16) | best & np.uint64(PAD)
        return np.sort(chosen.astype(np.uint32))


class _Words(dict[str, int]):
    """Of each word met its bits: four fields of 16 bits, PAD where it has fewer and in the last one."""

    def __init__(self) -> None:
        super().__init__()
        frozen = prior.load()
        self._levels = frozen.levels.tolist()
        self._common = prior.level(RARE_SHARE * frozen.texts)

    def __missing__(self, word: str) -> int:
        fields = _PADS if word == _BETWEEN else self._learned(word)
        if len(word) <= _LONGEST_PARSED:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = fields
        return fields

    def _learned(self, word: str) -> int:
        bits = [word_bit(word)]
        if self._levels[bits[0]] <= self._common and not is_pair(word):
            rarest = sorted(gram_bits(word), key=lambda gram: (self._levels[gram], gram))
            bits += rarest[:2]
        fields = _PADS
        for place, bit in enumerate(bits):
            fields ^= (bit ^ PAD) << (16 * place)
        return fields


def _ascii_words(texts: list[str]) -> list[str]:
    """Return the words of texts with _BETWEEN after those of each one; nothing unless all are plain ASCII."""
    joined = f" {_BETWEEN} ".join(texts)
    if not joined.isascii() or joined.count(_BETWEEN) != len(texts) - 1:
        return []
    return [*joined.translate(ASCII_WORDS).split(), _BETWEEN]


def _of_vectors(checked: npt.NDArray[np.generic]) -> Encodings:
    count, dimension = checked.shape
    rows = np.full((count, MAX_BITS), PAD, dtype=np.uint16)
    rows[:, : vectors.WINNERS] = vectors.bits_of(checked)
    sizes = np.full(count, vectors.WINNERS, dtype=np.uint8)
    return Encodings(rows, sizes, sizes.copy(), dimension)


def _joined(parts: list[Encodings]) -> Encodings:
    return Encodings(
        np.concatenate([_NO_ROWS, *(part.rows for part in parts)]),
        np.concatenate([_NO_COUNTS, *(part.sizes for part in parts)]),
        np.concatenate([_NO_COUNTS, *(part.words for part in parts)]),
    )


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise TextTooLongError(f"The text has {len(text):,} characters, and may have {MAX_CHARACTERS:,}.")


@lru_cache(maxsize=1 << 16)
def _gram_bit(gram: str) -> int:
    return WORD_BITS + _hash(gram, b"gram") % _GRAM_BITS


def _hash(text: str, kind: bytes) -> int:
    # Lone surrogates are no characters, but they must not make a text unencodable.
    raw = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=8, person=kind).digest(), "big")
