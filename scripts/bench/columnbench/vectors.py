"""The peers for vectors: usearch, faiss, hnswlib. They get the engine's bits, folded to what they can take.

Their distances know nothing of how much a bit says, so each finds 100 candidates, and these are refined: put
in order by the engine's own key, from the same rows of bits, in numpy. That time counts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from columnbench.contestants import TOP, Case, package
from columnbench.encoded import BATCH, BITS, PAD, Encoded, Scorer, padded, span
from cortex_runtime.columns import Encoder

CANDIDATES = 100
FOLDED = 1024  # bits that 65,536 are folded to: bit modulo 1,024
PROJECTED = 128  # dimensions of the vectors for hnswlib
LINKS, EXPANSION = 16, 128
_CHUNK = 10_000

Bytes = npt.NDArray[np.uint8]


def fold(rows: npt.NDArray[np.uint16]) -> Bytes:
    """Return rows of bits uint16[n, 40], padded, as uint8[n, 128]: 1,024 bits, those modulo 1,024."""
    folded = np.zeros((rows.shape[0], FOLDED), dtype=np.uint8)
    owners, places = np.nonzero(rows != PAD)
    folded[owners, rows[owners, places] % FOLDED] = 1
    return np.packbits(folded, axis=1, bitorder="little")


class Projection:
    """Weighted bits to directions: each bit has a random direction of 128 signs (seeded)."""

    def __init__(self, weights: npt.NDArray[np.int64]) -> None:
        random = np.random.Generator(np.random.PCG64(8))
        signs = np.where(random.random((BITS, PROJECTED)) < 0.5, -1, 1).astype(np.float32)
        self._table = signs * weights[:, None].astype(np.float32)

    def __call__(self, rows: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
        """Return float32[n, 128] of rows of bits uint16[n, 40], padded (what pads weighs nothing)."""
        vectors: npt.NDArray[np.float32] = self._table[rows].sum(axis=1)
        return vectors


class Vectors:
    """What the four have in common: incremental building, folding, refining."""

    name: str

    def __init__(self, case: Case) -> None:
        self._case = case
        self._encoded = Encoded.open(case.encoded)
        self._scorer = Scorer(self._encoded.rows[: case.columns], self._encoded.words[: case.columns])
        self._encoder = Encoder()
        self._directory = case.peers / f"{self.name}-{self._encoded.digest()}"

    def build(self) -> dict[str, float]:
        """Build the index, once, and load it."""
        self._open()
        figures = self._case.built(self._directory, self._fill)
        self._load(self._directory / "index")
        return figures

    def _fill(self) -> None:
        deadline = perf_counter() + self._case.limit
        for at, rows in self._chunks():
            self._add(np.arange(at, at + rows.shape[0]), self._vectors(rows))
            self._case.check(deadline, at + rows.shape[0])
        self._save(self._directory / "index")

    def _chunks(self) -> Iterator[tuple[int, npt.NDArray[np.uint16]]]:
        for at in range(0, self._case.columns, _CHUNK):
            yield at, np.asarray(self._encoded.rows[at : min(at + _CHUNK, self._case.columns)])

    def prepare(self, text: str) -> tuple[Any, npt.NDArray[np.int64]]:
        """Return the query's vector and its bits."""
        bits = self._encoder.encode(text).bits.astype(np.int64)
        return self._vectors(padded([bits])), bits

    def answer(self, query: tuple[Any, npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        """Return the numbers of the best texts: candidates by the index, refined."""
        vector, bits = query
        return self._scorer.refined(self._candidates(vector), bits, TOP)

    def documents(self, answer: npt.NDArray[np.int64]) -> Sequence[int]:
        """Return the numbers of the texts of an answer."""
        return [int(number) for number in answer]

    def close(self) -> None:
        """There is nothing to end."""

    def _vectors(self, rows: npt.NDArray[np.uint16]) -> Any:
        return fold(rows)

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _add(self, numbers: npt.NDArray[np.int64], vectors: Any) -> None: ...

    @abstractmethod
    def _save(self, path: Path) -> None: ...

    @abstractmethod
    def _load(self, path: Path) -> None: ...

    @abstractmethod
    def _candidates(self, vector: Any) -> npt.NDArray[np.int64]: ...


class Usearch(Vectors):
    """usearch's HNSW on 1,024 bits with Tanimoto's distance, refined."""

    name = "usearch"

    def _open(self) -> None:
        usearch = package("usearch.index", "usearch")
        self._index = usearch.Index(
            ndim=FOLDED, metric=usearch.MetricKind.Tanimoto, dtype="b1", connectivity=LINKS,
            expansion_add=EXPANSION, expansion_search=EXPANSION,
        )  # fmt: skip

    def _add(self, numbers: npt.NDArray[np.int64], vectors: Any) -> None:
        self._index.add(numbers.astype(np.uint64), vectors, threads=1)

    def _save(self, path: Path) -> None:
        self._index.save(str(path))

    def _load(self, path: Path) -> None:
        self._index.load(str(path))

    def _candidates(self, vector: Any) -> npt.NDArray[np.int64]:
        return self._index.search(vector[0], CANDIDATES, threads=1).keys.astype(np.int64)  # type: ignore[no-any-return]

    def insertion(self, turn: int) -> tuple[float, int]:
        """Add a turn's extras; return seconds and how many. Folding them is not counted."""
        numbers = np.arange(*span(self._case, turn))
        vectors = self._vectors(np.asarray(self._encoded.rows[numbers]))
        begun = perf_counter()
        for at in range(0, numbers.size, BATCH):
            self._add(numbers[at : at + BATCH], vectors[at : at + BATCH])
        return perf_counter() - begun, numbers.size


class FaissFlat(Vectors):
    """faiss' IndexBinaryFlat: a scan of all 1,024 bits by Hamming's distance, refined."""

    name = "faiss-flat"

    def _open(self) -> None:
        self._faiss = package("faiss", "faiss-cpu")
        self._faiss.omp_set_num_threads(1)
        self._index = self._new()

    def _new(self) -> Any:
        return self._faiss.IndexBinaryFlat(FOLDED)

    def _add(self, numbers: npt.NDArray[np.int64], vectors: Any) -> None:  # noqa: ARG002
        self._index.add(vectors)  # numbers them itself, from 0

    def _save(self, path: Path) -> None:
        self._faiss.write_index_binary(self._index, str(path))

    def _load(self, path: Path) -> None:
        self._index = self._faiss.read_index_binary(str(path))

    def _candidates(self, vector: Any) -> npt.NDArray[np.int64]:
        numbers: npt.NDArray[np.int64] = self._index.search(vector, CANDIDATES)[1][0]
        return numbers[numbers >= 0]


class FaissHnsw(FaissFlat):
    """faiss' IndexBinaryHNSW on 1,024 bits by Hamming's distance, refined."""

    name = "faiss-hnsw"

    def _new(self) -> Any:
        index = self._faiss.IndexBinaryHNSW(FOLDED, LINKS)
        index.hnsw.efConstruction = EXPANSION
        return index

    def _load(self, path: Path) -> None:
        super()._load(path)
        self._index.hnsw.efSearch = EXPANSION


class Hnswlib(Vectors):
    """hnswlib on 128 float32: weighted bits in random directions, by the cosine, refined."""

    name = "hnswlib"

    def _open(self) -> None:
        self._hnswlib = package("hnswlib", "hnswlib, which needs a C++ compiler,")
        self._projection = Projection(self._scorer.weights)

    def _fill(self) -> None:
        self._index = self._hnswlib.Index(space="cosine", dim=PROJECTED)
        self._index.init_index(
            max_elements=self._case.columns, M=LINKS, ef_construction=EXPANSION, random_seed=8
        )
        super()._fill()

    def _vectors(self, rows: npt.NDArray[np.uint16]) -> Any:
        return self._projection(rows)

    def _add(self, numbers: npt.NDArray[np.int64], vectors: Any) -> None:
        self._index.add_items(vectors, numbers, num_threads=1)

    def _save(self, path: Path) -> None:
        self._index.save_index(str(path))

    def _load(self, path: Path) -> None:
        self._index = self._hnswlib.Index(space="cosine", dim=PROJECTED)
        self._index.load_index(str(path), max_elements=self._case.columns)
        self._index.set_num_threads(1)
        self._index.set_ef(EXPANSION)

    def _candidates(self, vector: Any) -> npt.NDArray[np.int64]:
        return self._index.knn_query(vector, CANDIDATES, num_threads=1)[0][0].astype(np.int64)  # type: ignore[no-any-return]
