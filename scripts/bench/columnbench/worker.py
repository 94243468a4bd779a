"""A contestant's process: one processor, one thread, asked over a pipe."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any, TypeVar

from columnbench import corpus
from columnbench.contestants import Case, Contestant, LeftOut
from columnbench.encoded import BATCH
from columnbench.engine import Engine, Recorder
from columnbench.measures import Turn
from columnbench.peers import Fts5, PgTrgm, Tantivy
from columnbench.vectors import FaissFlat, FaissHnsw, Hnswlib, Usearch

ENGINE = {"engine-numba": "numba", "engine-numpy": "numpy"}
PEERS: dict[str, Callable[[Case], Contestant]] = {
    "tantivy": Tantivy, "fts5": Fts5, "pg_trgm": PgTrgm,
    "usearch": Usearch, "faiss-flat": FaissFlat, "faiss-hnsw": FaissHnsw, "hnswlib": Hnswlib,
}  # fmt: skip
# Before numpy, numba and faiss are loaded: each of them reads its own.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"),
    "1",
)
_ENDS_WITHIN = 20.0
Asked = TypeVar("Asked")


class ContestantFailedError(Exception):
    """A contestant raised what it should not have, or its process ended."""


def make(name: str, case: Case) -> Any:
    """Return a contestant, or what records the engine's decisions ("record-" and the kernels)."""
    if name in ENGINE:
        return Engine(case, ENGINE[name])
    if name.startswith("record-"):
        return Recorder(case)
    return PEERS[name](case)


class Asking:
    """Asks a contestant sets of queries, and takes the time."""

    def __init__(self, contestant: Contestant, case: Case) -> None:
        self._contestant = contestant
        self._queries = corpus.read_queries(case.directory, case.queries)
        self._prepared: dict[str, list[Any]] = {}
        self._next: dict[tuple[str, str], int] = {}

    def ranks(self, kind: str, start: int, seconds: float) -> list[list[int]]:
        """Return answers as numbers of texts, from a query on, as many as there is time for."""
        answers: list[list[int]] = []
        deadline = perf_counter() + seconds
        for query in self._all(kind)[start:]:
            answers.append(list(self._contestant.documents(self._contestant.answer(query))))
            if perf_counter() > deadline:
                break
        return answers

    def times(self, kind: str, seconds: float, how: str = "answer") -> Turn:
        """Time queries of a kind, one by one, by a method of the contestant."""
        return self._turn(kind, how, self._all(kind), getattr(self._contestant, how), seconds)

    def times_from_text(self, kind: str, seconds: float) -> Turn:
        """Time queries from their text on: what prepares them included."""
        texts = [query.text for query in self._queries[kind]]
        return self._turn(
            kind,
            "from text",
            texts,
            lambda text: self._contestant.answer(self._contestant.prepare(text)),
            seconds,
        )

    def times_in_batches(self, kind: str, seconds: float) -> Turn:
        """Time batches of 256 queries; a batch's time is shared out over its queries."""
        queries = self._all(kind)
        size = min(BATCH, len(queries))
        batches = [queries[at : at + size] for at in range(0, len(queries) - size + 1, size)]
        turn = self._turn(kind, "answer_many", batches, self._contestant.answer_many, seconds)  # type: ignore[attr-defined]
        return Turn([each / size for each in turn.seconds], turn.cpu / size, turn.complete)

    def memory(self) -> float:
        """Return the most megabytes that the process ever had in memory."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def _all(self, kind: str) -> list[Any]:
        if kind not in self._prepared:
            self._prepared[kind] = [self._contestant.prepare(query.text) for query in self._queries[kind]]
        return self._prepared[kind]

    def _cpu(self) -> float:
        elsewhere = getattr(self._contestant, "cpu_seconds", None)
        return process_time() + (elsewhere() if elsewhere else 0.0)

    def _turn(
        self, kind: str, how: str, queries: Sequence[Asked], ask: Callable[[Asked], object], seconds: float
    ) -> Turn:
        """Time queries in turn, beginning after those that the turn before came to."""
        start = self._next.get((kind, how), 0)
        gc.collect()
        gc.freeze()  # what was built is not looked through again in the middle of a query
        spent: list[float] = []
        cpu, deadline = self._cpu(), perf_counter() + seconds
        for query in (*queries[start:], *queries[:start]):
            begun = perf_counter()
            ask(query)
            ended = perf_counter()
            spent.append(ended - begun)
            if ended > deadline:
                break
        cpu = self._cpu() - cpu
        self._next[kind, how] = (start + len(spent)) % len(queries)
        return Turn(spent, cpu, len(spent) == len(queries))


def serve(pipe: Connection, name: str, case: Case) -> None:
    """Do what is asked over the pipe until it is closed, or SIGTERM comes."""
    os.sched_setaffinity(0, {case.cpu})
    os.dup2(2, 1)  # what libraries print is no part of the output
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks; it closes the pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    owners: list[Any] = []
    try:
        while True:
            method, arguments = pipe.recv()
            pipe.send(_answered(owners, name, case, method, arguments))
    except (EOFError, BrokenPipeError):
        pass  # who asks has closed the pipe, maybe before the answer
    finally:
        if owners and hasattr(owners[0], "close"):
            owners[0].close()


def _answered(
    owners: list[Any], name: str, case: Case, method: str, arguments: tuple[Any, ...]
) -> tuple[str, Any]:
    try:
        if not owners:
            owners.append(make(name, case))
            owners.append(Asking(owners[0], case))
        owner = next(each for each in owners if hasattr(each, method))
        return "done", getattr(owner, method)(*arguments)
    except LeftOut as reason:
        return "left out", str(reason)
    except Exception:
        return "failed", traceback.format_exc()


class Runner:
    """A contestant's process, as seen from outside."""

    def __init__(self, name: str, case: Case) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, name, case), name=name)
        if name in ENGINE or name.startswith("record-"):
            os.environ["CORTEX_KERNELS"] = name.rpartition("-")[2]  # the process reads it when it starts
        self._process.start()
        theirs.close()

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method. Raises LeftOut, or ContestantFailedError with the traceback."""
        try:
            self._pipe.send((method, arguments))
            what, result = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(_ENDS_WITHIN)
            raise ContestantFailedError(f"{self.name} ended with {self._process.exitcode}") from error
        if what == "left out":
            raise LeftOut(result)
        if what == "failed":
            raise ContestantFailedError(f"{self.name}: {result}")
        return result

    def close(self) -> None:
        """End the process, which ends what it started first."""
        self._pipe.close()
        for end in (self._process.terminate, self._process.kill):
            self._process.join(_ENDS_WITHIN)
            if self._process.is_alive():
                end()
        self._process.join()
