"""What the engine made of a set, once, for all contestants: its bits, and the decisions it recorded.

rows.npy uint16[n, 40]      bits of every text and, after them, of the extras that are inserted; padded
words.npy uint8[n]          how many of them are words
columns.npy uint16[c, 40]   bits of every column, as the decisions say, and column_words.npy
base.bin, turn-T.bin        recorded decisions: of all texts, and of the extras that turn T inserts
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from columnbench.contestants import Case
from cortex_runtime.columns.search import weights_of

BITS, PAD, ROW = 65_536, 65_535, 40
BATCH = 256
_LENGTH = struct.Struct("<I")

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.uint8]


def padded(encodings: Iterable[Ints | Rows]) -> Rows:
    """Return bits as rows uint16[n, 40], padded."""
    each = list(encodings)
    rows = np.full((len(each), ROW), PAD, dtype=np.uint16)
    for row, bits in zip(rows, each, strict=True):
        row[: bits.size] = bits
    return rows


def counts_of(rows: Rows) -> Ints:
    """Return int64[65536]: how many rows have each bit."""
    counts = np.zeros(BITS, dtype=np.int64)
    for at in range(0, rows.shape[0], 1 << 18):
        counts += np.bincount(rows[at : at + (1 << 18)].ravel(), minlength=BITS)
    return counts


def all_weights(rows: Rows) -> Ints:
    """Return int64[65536]: the weight of each bit by how many of the rows have it; PAD weighs nothing."""
    weights = weights_of(np.arange(BITS), counts_of(rows), rows.shape[0])
    weights[PAD] = 0
    return weights


def write_frames(path: Path, frames: Iterable[bytes]) -> None:
    """Write byte strings to a file, to be read one by one."""
    with path.open("wb") as output:
        for frame in frames:
            output.write(_LENGTH.pack(len(frame)) + frame)


def read_frames(path: Path) -> Iterator[bytes]:
    """Yield the byte strings of a file."""
    with path.open("rb") as source:
        while head := source.read(_LENGTH.size):
            yield source.read(_LENGTH.unpack(head)[0])


@dataclass(frozen=True, slots=True)
class Encoded:
    """The arrays of a directory, mapped."""

    rows: Rows
    words: Counts
    columns: Rows
    column_words: Counts

    @classmethod
    def open(cls, directory: Path) -> Encoded:
        """Map the arrays that the engine wrote."""
        names = ("rows", "words", "columns", "column_words")
        return cls(*(np.load(directory / f"{name}.npy", mmap_mode="r") for name in names))

    def digest(self) -> str:
        """Return a short name for exactly these bits."""
        return hashlib.blake2b(np.ascontiguousarray(self.rows).data, digest_size=4).hexdigest()


def span(case: Case, turn: int) -> tuple[int, int]:
    """Return from where to where the rows are that a turn inserts."""
    size = case.batches * BATCH
    return case.columns + turn * size, case.columns + (turn + 1) * size


class Scorer:
    """Puts texts in order by the engine's key: most shared weight, then fewest words, then lowest number."""

    def __init__(self, rows: Rows, words: Counts) -> None:
        self.weights = all_weights(rows)
        self._rows, self._words = rows, words
        self._table = np.zeros(BITS, dtype=np.int64)

    def scores(self, bits: Ints, rows: Rows) -> Ints:
        """Return the weight that rows share with a query."""
        self._table[bits] = self.weights[bits]
        scores: Ints = self._table[rows].sum(axis=1)
        self._table[bits] = 0
        return scores

    def refined(self, candidates: Ints, bits: Ints, limit: int) -> Ints:
        """Return the best candidates in order."""
        scores = self.scores(bits, self._rows[candidates])
        order = np.lexsort((candidates, self._words[candidates], -scores))
        return candidates[order[:limit]]


class FullScan:
    """Scores every column, 2**16 at a time: the truth that recall is measured against."""

    def __init__(self, columns: Rows, words: Counts) -> None:
        self._columns, self._words = columns, words
        self._weights = all_weights(columns)
        self._table = np.zeros(BITS, dtype=np.uint16)

    def best(self, bits: Ints, limit: int) -> tuple[list[int], list[int], int]:
        """Return the best columns, their scores, and the query's whole weight.

        Only columns that share something are among them.
        """
        weights = self._weights[bits]
        self._table[bits] = weights
        sums = [
            self._table[self._columns[at : at + (1 << 16)]].sum(axis=1, dtype=np.int64)
            for at in range(0, self._columns.shape[0], 1 << 16)
        ]
        self._table[bits] = 0
        scores = np.concatenate(sums)
        keys = (scores << 38) - (self._words.astype(np.int64) << 32) - np.arange(scores.size)
        some = np.argpartition(-keys, min(limit, keys.size - 1))[:limit]
        best = [int(column) for column in some[np.argsort(-keys[some])] if scores[column] > 0]
        return best, [int(scores[column]) for column in best], int(weights.sum())
