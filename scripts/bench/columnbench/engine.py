"""The column engine as a contestant, with one of its kernels, through its public interface."""

from __future__ import annotations

import cProfile
import dataclasses
import hashlib
import io
import os
import pstats
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np

from columnbench import corpus
from columnbench.contestants import TOP, Case, LeftOut
from columnbench.encoded import BATCH, Encoded, FullScan, padded, read_frames, span, write_frames
from cortex_runtime.changelog.snapshotfile import Origin
from cortex_runtime.changelog.snapshots import Name, Snapshots
from cortex_runtime.columns import Cortex, Decisions, Encoder, Encoding, Encodings, Put, QueryResult
from cortex_runtime.columns.decisions import Kind
from cortex_runtime.columns.model import QueryTooComplexError
from cortex_runtime.columns.snapshot import Image
from cortex_runtime.security.envelope import Place, seal_into, unseal_into

SINGLES = 200
EDGES_A_COLUMN = 5
_EDGES_AT_ONCE = 100_000
_TYPES = ("hypernym", "hyponym", "part of", "similar to", "domain topic")
_PROFILED = 25
_UNLIMITED = 1 << 40
_COMPARED = 2_000  # columns, with those most like them


def identifier(number: int) -> bytes:
    """Return the 16 bytes that stand for a text: they look random, as keyed hashes do, and can be undone."""
    mixed = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=8).digest()
    return mixed + (number ^ int.from_bytes(mixed, "big")).to_bytes(8, "big")


def number_of(identified: bytes) -> int:
    """Return the text's number of 16 bytes made by `identifier`."""
    return int.from_bytes(identified[:8], "big") ^ int.from_bytes(identified[8:], "big")


def source_digest() -> str:
    """Return a short name for the engine's source: what it recorded is of no use to another version."""
    directory = Path(str(Cortex.__init__.__globals__["__file__"])).parent
    state = hashlib.blake2b(digest_size=6)
    for path in sorted(directory.rglob("*")):
        if path.suffix in (".py", ".bin"):
            state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


class Recorder:
    """Encodes a set and lets it compete, once, and writes what came out for all contestants."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._cortex, self._encoder = Cortex(), Encoder()
        self._columns: list[np.ndarray] = []
        self._column_words: list[np.ndarray] = []

    def record(self) -> dict[str, float]:
        """Write what `encoded` describes; return how long it took."""
        case, begun = self._case, perf_counter()
        texts = corpus.read_lines(case.directory, "texts")
        inserted = corpus.read_lines(case.directory, "extras")[: case.turns * case.batches * BATCH]
        encodings = self._encoder.encode_many([*texts, *inserted])
        seconds = {"encoding everything, s": perf_counter() - begun}
        np.save(case.encoded / "rows.npy", encodings.rows)
        np.save(case.encoded / "words.npy", encodings.words)
        begun = perf_counter()
        write_frames(case.encoded / "base.bin", self._decisions(0, encodings[: case.columns], tell=True))
        seconds["competing and applying everything, s"] = perf_counter() - begun
        np.save(case.encoded / "columns.npy", np.concatenate(self._columns))
        np.save(case.encoded / "column_words.npy", np.concatenate(self._column_words))
        for turn in range(case.turns):
            first, end = span(case, turn)
            write_frames(case.encoded / f"turn-{turn}.bin", self._decisions(first, encodings[first:end]))
        return seconds

    def _decisions(self, first: int, encodings: Encodings, *, tell: bool = False) -> Iterator[bytes]:
        tenth = max(BATCH, len(encodings) // 10)
        begun = perf_counter()
        for at in range(0, len(encodings), BATCH):
            puts = [
                Put(identifier(first + at + index), each.bits, each.words)
                for index, each in enumerate(encodings[at : at + BATCH])
            ]
            _, decisions = self._cortex.compete(puts)
            self._cortex.apply(decisions)
            self._keep(decisions)
            if tell and at // tenth != (at + BATCH) // tenth:
                each = 1e6 * (perf_counter() - begun) / (at + BATCH)
                print(f"    {at + BATCH:,} of {len(encodings):,} competed, {each:.0f} µs each", flush=True)
            yield decisions.to_bytes()

    def _keep(self, decisions: Decisions) -> None:
        """Keep the columns that were taken. Nothing is freed here, so they are numbered in order."""
        takes = decisions.kinds == Kind.TAKE
        sizes = decisions.sizes[takes]
        self._columns.append(
            padded(np.split(decisions.bits, np.cumsum(sizes)[:-1])) if sizes.size else padded([])
        )
        self._column_words.append(decisions.words[takes])


class Engine:
    """A cortex with some kernels. All of them apply the same recorded decisions."""

    def __init__(self, case: Case, kernels: str) -> None:
        self._case = case
        self._cortex, self._encoder = Cortex(), Encoder()
        chosen = getattr(getattr(self._cortex, "kernels", None), "name", "numpy")
        if chosen != kernels:
            raise LeftOut(f"with CORTEX_KERNELS={kernels} this engine runs on {chosen}")
        self._refused = 0
        self._extras: list[str] = []
        self._longest = {"cpu": 0.0, "wall": 0.0}

    def build(self) -> dict[str, float]:
        """Apply the recorded decisions of all texts."""
        begun = perf_counter()
        for frame in read_frames(self._case.encoded / "base.bin"):
            self._cortex.apply(Decisions.from_bytes(frame))
        seconds = perf_counter() - begun
        self.consolidate()
        self._extras = corpus.read_lines(self._case.directory, "extras")
        self._encoder.encode_many(
            corpus.read_lines(self._case.directory, "texts")
        )  # as who imported them did
        cortex = self._cortex
        return {
            "build, s": seconds,
            "columns": cortex.columns,
            "bytes a column": cortex.bytes_per_column,
            "bytes a column, ids included": cortex.nbytes / cortex.columns,
        }

    def prepare(self, text: str) -> Encoding:
        """Return the text's encoding."""
        return self._encoder.encode(text)

    def answer(self, query: Encoding) -> QueryResult:
        """Return the ten best columns, as a caller gets them.

        What would cost more than the default budget is asked again so that it may be capped.
        """
        try:
            return self._cortex.query(query, TOP)
        except QueryTooComplexError:
            self._refused += 1
            return self._cortex.query(query, TOP, exact=False)

    def documents(self, answer: QueryResult) -> Sequence[int]:
        """Return the numbers of the texts of an answer: those on the best column first, at most ten."""
        return [number_of(each) for match in answer.matches for each in match.ids][:TOP]

    def close(self) -> None:
        """There is nothing to end."""

    def digest(self) -> str:
        """Return the hash of the cortex."""
        return self._cortex.digest().hex()

    def recall(self, queries: list[str]) -> dict[str, float]:
        """Return the share of the ten best by a full scan that queries find, by score and by column."""
        encoded = Encoded.open(self._case.encoded)
        scan = FullScan(np.asarray(encoded.columns), np.asarray(encoded.column_words))
        by_score = by_column = wanted = 0
        for text in queries:
            encoding = self._encoder.encode(text)
            columns, scores, total = scan.best(encoding.bits.astype(np.int64), TOP)
            matches = self._cortex.query(encoding, TOP, budget=_UNLIMITED).matches
            found = [round(match.overlap * total) for match in matches]
            by_score += sum(a == b for a, b in zip(found, scores, strict=False))
            by_column += len({match.column for match in matches} & set(columns))
            wanted += len(columns)
        return {"recall": by_score / wanted, "recall by column": by_column / wanted}

    def answer_many(self, queries: list[Encoding]) -> list[QueryResult]:
        """Return the ten best columns of each of several queries."""
        try:
            return self._cortex.query_many(queries, TOP)
        except QueryTooComplexError:
            return [self.answer(query) for query in queries]

    def spread(self, query: Encoding) -> QueryResult:
        """Return the ten best columns, and what is reached from them over two relationships."""
        try:
            return self._cortex.query(query, TOP, hops=2)
        except QueryTooComplexError:
            self._refused += 1
            return self._cortex.query(query, TOP, hops=2, exact=False)

    def refused(self) -> int:
        """Return how many queries were refused since this was asked last."""
        refused, self._refused = self._refused, 0
        return refused

    def replay(self, turn: int) -> tuple[float, float, int]:
        """Apply a turn's recorded decisions; return seconds of reading the bytes, of applying, how many."""
        reading = applying = 0.0
        for frame in read_frames(self._case.encoded / f"turn-{turn}.bin"):
            begun = perf_counter()
            decisions = Decisions.from_bytes(frame)
            read = perf_counter()
            self._cortex.apply(decisions)
            applying += perf_counter() - read
            reading += read - begun
        return reading, applying, self._case.batches * BATCH

    def allocate(self, turn: int, size: int) -> dict[str, float]:
        """Put a turn's extras in batches of a size. Return seconds a concept of each step."""
        count = self._case.batches * BATCH if size > 1 else SINGLES
        inserted = self._case.turns * self._case.batches * BATCH
        first = (
            inserted
            + turn * (self._case.batches * BATCH + SINGLES)
            + (0 if size > 1 else self._case.batches * BATCH)
        )
        spent = dict.fromkeys(("encode", "compete", "apply"), 0.0)
        for at in range(first, first + count, size):
            texts = self._extras[at : at + size]
            begun = perf_counter()
            encodings = self._encoder.encode_many(texts) if size > 1 else [self._encoder.encode(texts[0])]
            encoded = perf_counter()
            puts = [
                Put(identifier(self._case.columns + at + index), each.bits, each.words)
                for index, each in enumerate(encodings)
            ]
            _, decisions = self._cortex.compete(puts)
            competed = perf_counter()
            self._cortex.apply(decisions)
            spent["apply"] += perf_counter() - competed
            spent["compete"] += competed - encoded
            spent["encode"] += encoded - begun
        return {name: seconds / count for name, seconds in spent.items()}

    def relate(self) -> dict[str, float]:
        """Add five relationships a column; return seconds.

        Targets are drawn evenly, sources by a power law: most have a few relationships, some have hundreds.
        """
        count = EDGES_A_COLUMN * self._case.columns
        random = corpus.generator("edges", "relate")
        ids = np.frombuffer(
            b"".join(identifier(number) for number in range(self._case.columns)), dtype=np.uint8
        )
        ids = ids.reshape(-1, 16)
        _, nothing = self._cortex.compete([])
        begun = perf_counter()
        for at in range(0, count, _EDGES_AT_ONCE):
            size = min(_EDGES_AT_ONCE, count - at)
            sources = (random.random(size) ** 2 * self._case.columns).astype(np.int64)
            targets = (random.random(size) * self._case.columns).astype(np.int64)
            decisions = dataclasses.replace(
                nothing, before=self._cortex.operations, operations=size,
                edge_kinds=np.full(size, Kind.RELATE, dtype=np.uint8),
                edge_steps=np.arange(1, size + 1, dtype=np.uint32),
                sources=ids[sources], targets=ids[targets],
                edge_types=(random.random(size) * len(_TYPES)).astype(np.uint16),
                weights=(1 - random.random(size)).astype(np.float32), types=_TYPES,
            )  # fmt: skip
            self._cortex.apply(decisions)
        return {
            "relationships": float(self._cortex.relationship_count),
            "relating, s": perf_counter() - begun,
        }

    def consolidate(self) -> dict[str, float]:
        """Do all items of consolidation that wait, and compare some columns with those like them.

        Return how many items that were, and how long the longest of all so far took, in seconds: of this
        processor, and by the clock, which counts what else the machine did.
        """
        consolidation, done = self._cortex.consolidation, 0
        for proposing, most in ((False, _UNLIMITED), (True, _COMPARED)):
            consolidation.proposing = proposing
            for _ in range(most):
                begun, cpu = perf_counter(), thread_time()
                if not consolidation.step(0):
                    break
                self._longest["cpu"] = max(self._longest["cpu"], thread_time() - cpu)
                self._longest["wall"] = max(self._longest["wall"], perf_counter() - begun)
                consolidation.proposals(_COMPARED)
                done += 1
        consolidation.proposing = False
        return {"items": done, **self._longest}

    def snapshot(self, directory: Path) -> dict[str, float]:
        """Write a snapshot and load it again; return seconds and megabytes.

        Writing: the copy that the cortex has to hold still for, sealing (AES-256-GCM, a data key's derived
        key for each MiB), write, fsync, rename, fsync of the directory. Loading: opening what was written,
        which the system has in memory still, and a cortex made of it.
        """
        origin = Origin("bench", "main", 1, 1, bytes(32), self._cortex.operations, 1)
        snapshots = Snapshots(directory, None, _OneKey(), self._cortex.settings)
        begun = perf_counter()
        state = self._cortex.state()
        image = Image.of(state)
        image.fill(state)
        copied = perf_counter()
        path = snapshots.write(origin, image)
        written = perf_counter()
        size = path.stat().st_size
        del image, state
        loading = perf_counter()
        _, cortex = snapshots.open(Name.of(origin))
        loaded = perf_counter()
        if cortex.operations != self._cortex.operations or cortex.columns != self._cortex.columns:
            raise ValueError("what was loaded is not what was written")
        return {
            "write": written - begun, "copy": copied - begun, "load": loaded - loading, "MB": size / 1e6,
        }  # fmt: skip

    def profile(self, queries: list[str]) -> dict[str, str]:
        """Return where the time goes, of queries and of an allocation in batches, by function."""
        encodings = [self._encoder.encode(text) for text in queries]
        texts = self._extras[-4 * BATCH :]

        def ask() -> None:
            for encoding in encodings:
                self.answer(encoding)

        def allocate() -> None:
            for at in range(0, len(texts), BATCH):
                encoded = self._encoder.encode_many(texts[at : at + BATCH])
                ids = (identifier((1 << 40) + at + index) for index in range(len(encoded)))
                self._cortex.compete(
                    [Put(i, each.bits, each.words) for i, each in zip(ids, encoded, strict=True)]
                )

        return {f"{len(encodings)} queries": _profiled(ask), f"{len(texts)} allocations": _profiled(allocate)}


class _OneKey:
    """A data key of its own in place of a tenant's."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def active_version(self, tenant: str) -> int:  # noqa: ARG002
        """Return the version that seals."""
        return 1

    def seal_into(self, place: Place, version: int, plain: memoryview, out: memoryview) -> None:
        """Seal a record."""
        seal_into(self._key, version, place, plain, out)

    def unseal_into(self, place: Place, sealed: memoryview, out: memoryview) -> None:
        """Open a record."""
        unseal_into(self._key, place, sealed, out)


def _profiled(run: Callable[[], None]) -> str:
    run()  # what is done only the first time does not count
    profile = cProfile.Profile()
    profile.runcall(run)
    output = io.StringIO()
    pstats.Stats(profile, stream=output).strip_dirs().sort_stats("tottime").print_stats(_PROFILED)
    return output.getvalue()
