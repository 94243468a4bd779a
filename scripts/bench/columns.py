#!/usr/bin/env python3
"""Measure the column engine on WordNet: scripts/bench/columns.py [--input wordnet.jsonl] [--output json].

One thread on one processor. Times are the thread's processor time, so that what else runs on the machine does
not count. Queries are the texts of known concepts with 30 % of their words dropped (seeded), so that the
concept that should come first is known. Run with the project's environment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, TypeVar

import numpy as np

from cortex_runtime.columns import (
    Cortex,
    Decisions,
    Encoder,
    Operation,
    Outcome,
    Put,
    Relate,
    RelationshipRecord,
)

BATCH = 256
DROPPED = 0.3
COMMON = ("of the and", "a person who is in the", "having or being one of the", "the", "relating to or of a")
Result = TypeVar("Result")
Figures = dict[str, float]


def read(path: Path | None) -> list[dict[str, Any]]:
    """Return the concepts of an import file, or those that scripts/wordnet writes."""
    if path is not None:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    converter = Path(__file__).resolve().parents[1] / "wordnet"
    done = subprocess.run([sys.executable, converter], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def identifier(name: str) -> bytes:
    """Return the 16 bytes that stand for a concept's name."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def batches(concepts: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield concepts in batches."""
    for start in range(0, len(concepts), BATCH):
        yield concepts[start : start + BATCH]


class Import:
    """Imports concepts into a cortex, and knows where the time went."""

    def __init__(self) -> None:
        self.encoder, self.cortex = Encoder(), Cortex()
        self.seconds = dict.fromkeys(
            ("encode", "compete", "relate", "bytes", "apply puts", "apply relates"), 0.0
        )
        self.stored: dict[bytes, Outcome] = {}
        self.relationships: dict[tuple[bytes, bytes, str], float] = {}

    def run(self, concepts: list[dict[str, Any]]) -> None:
        """Import: each batch's concepts first, then their relationships."""
        for batch in batches(concepts):
            texts = [concept["text"] for concept in batch]
            encodings = self._timed("encode", partial(self.encoder.encode_many, texts))
            puts: list[Operation] = [
                Put(identifier(concept["id"]), encoding.bits, encoding.words)
                for concept, encoding in zip(batch, encodings, strict=True)
            ]
            for operation, outcome in zip(puts, self._decide("compete", "apply puts", puts), strict=True):
                assert isinstance(operation, Put)
                self.stored[operation.id] = outcome
            relates: list[Operation] = [
                Relate(
                    identifier(concept["id"]),
                    identifier(edge["target"]),
                    edge["type"],
                    edge["weight"],
                    pending=True,
                )
                for concept in batch
                for edge in concept["relationships"]
            ]
            self._decide("relate", "apply relates", relates)
            for edge in relates:
                assert isinstance(edge, Relate)
                self.relationships[edge.source, edge.target, edge.type] = edge.weight

    def restored(self) -> Cortex:
        """Return a cortex made from what a database would hold."""
        records = [outcome.record for outcome in self.stored.values() if outcome.record is not None]
        edges = [RelationshipRecord(*edge, weight) for edge, weight in self.relationships.items()]
        return Cortex.restore(self.cortex.settings, self.cortex.operations, records, edges)

    def _decide(self, compete: str, apply: str, operations: list[Operation]) -> list[Outcome]:
        outcomes, decisions = self._timed(compete, partial(self.cortex.compete, operations))
        copy = self._timed("bytes", lambda: Decisions.from_bytes(decisions.to_bytes()))
        self._timed(apply, partial(self.cortex.apply, copy))
        return outcomes

    def _timed(self, name: str, call: Callable[[], Result]) -> Result:
        begun = thread_time()
        result = call()
        self.seconds[name] += thread_time() - begun
        return result


def query(run: Import, concepts: list[dict[str, Any]], count: int, seed: int) -> Figures:
    """Return latencies and the mean reciprocal rank of queries with words dropped."""
    chance = random.Random(seed)
    ranks, seconds, hops = [], [], []
    for concept in chance.sample(concepts, min(count, len(concepts))):
        words = concept["text"].split()
        kept = [word for word in words if chance.random() >= DROPPED] or words
        encoding = run.encoder.encode(" ".join(kept))
        begun = thread_time()
        result = run.cortex.query(encoding, 10)
        seconds.append(thread_time() - begun)
        wanted = run.cortex.column_of(identifier(concept["id"]))
        columns = [match.column for match in result.matches]
        ranks.append(1 / (1 + columns.index(wanted)) if wanted in columns else 0.0)
        begun = thread_time()
        run.cortex.query(encoding, 10, hops=2)
        hops.append(thread_time() - begun)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    hop50, hop99 = np.percentile(hops, [50, 99]) * 1e3
    return {
        "query top 10, p50 ms": p50, "query top 10, p99 ms": p99, "query top 10 and 2 hops, p50 ms": hop50,
        "query top 10 and 2 hops, p99 ms": hop99, "MRR": float(np.mean(ranks)),
    }  # fmt: skip


def query_common(run: Import) -> Figures:
    """Return latencies of queries of common words alone."""
    encodings = [run.encoder.encode(text) for text in COMMON]
    seconds = []
    for encoding in encodings * 40:
        begun = thread_time()
        run.cortex.query(encoding, 10)
        seconds.append(thread_time() - begun)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    capped = sum(run.cortex.query(encoding, 10).capped for encoding in encodings)
    return {
        "common words, p50 ms": p50, "common words, p99 ms": p99,
        f"common words, capped of {len(COMMON)}": capped,
    }  # fmt: skip


def measure(concepts: list[dict[str, Any]], queries: int) -> Figures:
    """Return all figures."""
    run = Import()
    begun = perf_counter()
    run.run(concepts)
    wall = perf_counter() - begun
    cortex, relates = run.cortex, max(1, len(run.relationships))
    per = {name: 1e6 * seconds for name, seconds in run.seconds.items()}
    figures: Figures = {
        "concepts": len(concepts), "columns": cortex.columns, "relationships": cortex.relationship_count,
        "pending": cortex.pending_count, "import, wall s": wall, "import, cpu s": sum(run.seconds.values()),
        "encode, us a concept": per["encode"] / len(concepts),
        "compete, us a concept": per["compete"] / len(concepts),
        "apply, us a concept": per["apply puts"] / len(concepts),
        "compete, us a relationship": per["relate"] / relates,
        "apply, us a relationship": per["apply relates"] / relates,
        "to and from bytes, us a concept": per["bytes"] / len(concepts),
        "columns and index, bytes a column": cortex.bytes_per_column,
        "all arrays, bytes a column": cortex.nbytes / max(1, cortex.columns),
    }  # fmt: skip
    begun = thread_time()
    digest = cortex.digest()
    figures["digest, ms"] = 1e3 * (thread_time() - begun)
    begun = thread_time()
    same = run.restored().digest() == digest
    figures["restore and digest, s"] = thread_time() - begun
    figures["restored is the same"] = same
    return figures | query(run, concepts, queries, seed=7) | query_common(run)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the column engine on WordNet.")
    parser.add_argument("--input", type=Path, help="an import file (default: what scripts/wordnet writes)")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument(
        "--cpu", type=int, default=min(os.sched_getaffinity(0)), help="the processor to run on"
    )
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.cpu})
    figures = measure(read(arguments.input), arguments.queries)
    if arguments.output == "json":
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:42} {value:>14,.3f}" if isinstance(value, float) else f"{name:42} {value:>14,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
