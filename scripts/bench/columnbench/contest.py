"""Measures one set: builds the contestants, lets them take turns, and returns the figures."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from columnbench import corpus
from columnbench.contestants import Case, LeftOut
from columnbench.encoded import BATCH
from columnbench.engine import SINGLES, source_digest
from columnbench.measures import Latency, Turn, bootstrap, latency, reciprocal_ranks
from columnbench.targets import TEXT_PEERS
from columnbench.worker import ENGINE, ContestantFailedError, Runner

RECALLED = 200
SPREAD = 500
_RUNS, _QUERIES = 5, 2_000  # fewer of them are taken from the same files
_RANKED_AT_ONCE = 30.0
_LESSER_SHARE = 0.25  # of --rank-limit, for queries with typing errors
_COLUMNS_A_BATCH = 50_000  # at a million columns a turn adds 20 batches
KINDS = ("single", "typos", "common", "long")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. query_set: "report" or "tuning". kernels: of the engine, those that are there."""

    columns: int
    queries: int
    query_set: str
    runs: int
    peers: tuple[str, ...]
    kernels: tuple[str, ...]
    work: Path
    input: Path | None
    cpu: int
    build_limit: float
    rank_limit: float
    turn_limit: float
    profile: bool


@dataclass(slots=True)
class Results:
    """What was measured on one set.

    contestants: by name, figures of each. left_out: by name, why. latencies: by name and kind of query.
    figures: by kernels, what the targets are compared with. profiles: by kernels and what was done.
    """

    set: str
    columns: int
    contestants: dict[str, dict[str, float]] = field(default_factory=dict)
    latencies: dict[str, dict[str, Latency]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    profiles: dict[str, dict[str, str]] = field(default_factory=dict)
    best_text_peer: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return asdict(self)


def say(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)


def _locked() -> str:
    """Return a short name for the versions of the peers: what they built is of no use to others."""
    lock = Path(__file__).resolve().parents[3] / "locks"
    raw = b"".join((lock / f"{name}.lock").read_bytes() for name in ("bench", "bench-source"))
    return hashlib.blake2b(raw, digest_size=4).hexdigest()


class Contest:
    """One set with its contestants, alive until `close`."""

    def __init__(self, name: str, base: list[str], options: Options) -> None:
        self._name, self._options = name, options
        self._case = self._make_case(base)
        self._results = Results(name, self._case.columns)
        self._runners: dict[str, Runner] = {}

    def prepare(self) -> None:
        """Have everything built and answered that is kept, and nothing measured."""
        try:
            self._record()
            self._start(self._options.peers)
            self._quality()
        finally:
            self.close()

    def run(self) -> Results:
        """Measure everything."""
        try:
            self._record()
            self._start((*self._engine_names(), *self._options.peers))
            self._quality()
            self._recall()
            self._turns()
            self._growing()
            self._spreading()
            self._snapshots()
            self._same()
            if self._options.profile:
                self._profiles()
        finally:
            self.close()
        return self._results

    def close(self) -> None:
        """End the contestants."""
        for runner in self._runners.values():
            runner.close()

    def _make_case(self, base: list[str]) -> Case:
        options, name = self._options, self._name
        columns = min(options.columns, len(base)) if name == "wordnet" else options.columns
        batches = min(20, max(2, columns // _COLUMNS_A_BATCH))
        turns, queries = max(options.runs, _RUNS), max(options.queries, _QUERIES)
        extras = turns * (2 * batches * BATCH + SINGLES)
        made = f"{corpus.VERSION}-{corpus.digest_of(base)}-{extras}-{queries}"
        directory = options.work / f"{name}-{columns}-{made}"
        if not corpus.is_written(directory):
            begun = perf_counter()
            corpus.write(corpus.make(name, base, columns, extras, queries), directory)
            say(f"{name}: {columns:,} texts made in {perf_counter() - begun:.0f} s")
        encoded = directory / f"engine-{source_digest()}"
        return Case(
            directory, encoded, directory / f"peers-{_locked()}", columns, options.cpu, options.build_limit,
            batches, turns, options.queries,
        )  # fmt: skip

    def _record(self) -> None:
        """Have the engine's decisions recorded, once for each version of the engine."""
        stamp = self._case.encoded / "recorded.json"
        if not stamp.exists():
            for old in self._case.directory.glob("engine-*"):
                shutil.rmtree(old)
            self._case.encoded.mkdir()
            kernels = self._options.kernels[0]
            say(f"{self._name}: recording the engine's decisions ({kernels})")
            runner = Runner(f"record-{kernels}", self._case)
            try:
                stamp.write_text(json.dumps(runner.ask("record")))
            finally:
                runner.close()
        for what, seconds in json.loads(stamp.read_text()).items():
            say(f"{self._name}: {what}: {seconds:.1f}")

    def _engine_names(self) -> tuple[str, ...]:
        return tuple(name for name, kernels in ENGINE.items() if kernels in self._options.kernels)

    def _start(self, names: tuple[str, ...]) -> None:
        for name in names:
            say(f"{self._name}: {name}: building or loading")
            runner = Runner(name, self._case)
            self._runners[name] = runner
            with self._may_be_left_out(name):
                figures = runner.ask("build")
                self._results.contestants[name] = figures
                say(
                    f"{self._name}: {name}: "
                    + ", ".join(f"{key} {value:,.1f}" for key, value in figures.items())
                )
        for runner, kernels in self._engines():
            figures = self._results.contestants[runner.name]
            self._results.figures[kernels] = {"bytes": figures["bytes a column"]}

    @contextlib.contextmanager
    def _may_be_left_out(self, name: str) -> Iterator[None]:
        """Leave a peer out that cannot be measured, and go on; the engine must not fail."""
        try:
            yield
        except (LeftOut, ContestantFailedError) as reason:
            if name in ENGINE and not isinstance(reason, LeftOut):
                raise
            self._results.left_out[name] = str(reason).strip().splitlines()[-1]
            say(f"{self._name}: {name} is left out: {reason}")
            self._runners.pop(name).close()
            self._results.contestants.pop(name, None)

    def _queries(self) -> dict[str, list[corpus.Query]]:
        return corpus.read_queries(self._case.directory, self._options.queries)

    def _contestants(self) -> list[Runner]:
        return list(self._runners.values())

    def _quality(self) -> None:
        """Rank every query once: mean reciprocal ranks, and the engine's against the best text peer's."""
        queries = self._queries()
        ranks: dict[str, Any] = {}
        for kind, name_of in ((self._options.query_set, "MRR"), ("typos", "MRR with typing errors")):
            wanted = [query.wanted for query in queries[kind]]
            for runner in self._contestants():
                with self._may_be_left_out(runner.name):
                    answers = self._answers(runner, kind, len(wanted))
                    found = reciprocal_ranks(answers, wanted[: len(answers)])
                    figures = self._results.contestants[runner.name]
                    figures[name_of] = float(found.mean())
                    figures[f"{name_of}, queries"] = len(answers)
                    say(f"{self._name}: {runner.name}: {name_of} {found.mean():.4f} of {len(answers):,}")
                    if kind == self._options.query_set:
                        ranks[runner.name] = found
        self._compare(ranks)

    def _answers(self, runner: Runner, kind: str, count: int) -> list[list[int]]:
        """Return a contestant's answers; those of peers, which never change, are kept on the disk."""
        kept = self._case.peers / f"{runner.name}-{kind}-{self._index_digest(runner.name)}.json"
        answers: list[list[int]] = (
            json.loads(kept.read_text()) if runner.name not in ENGINE and kept.exists() else []
        )
        share = 1.0 if kind == self._options.query_set else _LESSER_SHARE
        deadline = perf_counter() + share * self._options.rank_limit
        while len(answers) < count and perf_counter() < deadline:
            answers += runner.ask("ranks", kind, len(answers), _RANKED_AT_ONCE)
            if runner.name not in ENGINE:
                kept.write_text(json.dumps(answers))
            if len(answers) < count:
                say(f"{self._name}: {runner.name}: {len(answers):,} of {count:,} queries answered")
        return answers[:count]

    def _index_digest(self, name: str) -> str:
        """Return what tells a peer's index from one made of other bits."""
        stamps = sorted(str(path.parent.name) for path in self._case.peers.glob(f"{name}*/built.json"))
        return hashlib.blake2b(" ".join(stamps).encode(), digest_size=4).hexdigest()

    def _compare(self, ranks: dict[str, Any]) -> None:
        text = [name for name in TEXT_PEERS if name in ranks]
        if not text:
            return
        answered = min(ranks[name].size for name in text)
        best = max(text, key=lambda name: float(ranks[name][:answered].mean()))
        self._results.best_text_peer = best
        for name, kernels in ENGINE.items():
            if name in ranks:
                count = min(ranks[name].size, ranks[best].size)
                interval = bootstrap(ranks[name][:count] - ranks[best][:count])
                self._results.figures[kernels] |= {"mrr.difference": interval.mean, "mrr.low": interval.low}
                self._results.contestants[name] |= {
                    f"MRR less {best}'s": interval.mean, "lower end": interval.low,
                    "upper end": interval.high,
                }  # fmt: skip

    def _recall(self) -> None:
        queries = self._queries()[self._options.query_set]
        for runner, kernels in self._engines():
            found = runner.ask("recall", [query.text for query in queries[:RECALLED]])
            self._results.contestants[runner.name] |= found
            self._results.figures[kernels]["recall"] = found["recall"]
            say(f"{self._name}: {runner.name}: recall@10 {found['recall']:.4f}")

    def _engines(self) -> list[tuple[Runner, str]]:
        return [(runner, ENGINE[runner.name]) for runner in self._contestants() if runner.name in ENGINE]

    def _turns(self) -> None:
        """Let all contestants take turns with each kind of query."""
        for runner, _ in self._engines():
            runner.ask("refused")  # while they were ranked
        single = self._options.query_set
        asked = {
            "single": ("times", single), "typos": ("times", "typos"), "common": ("times", "common"),
            "long": ("times", "long"), "from text": ("times_from_text", single),
        }  # fmt: skip
        for kind, (method, queries) in asked.items():
            self._take_turns(kind, method, queries, engines_only=False)
        self._take_turns("batch", "times_in_batches", single, engines_only=True)
        for runner, kernels in self._engines():
            latencies = self._results.latencies[runner.name]
            self._results.figures[kernels] |= {
                "query.p50": latencies["single"].p50, "query.p99": latencies["single"].p99,
                "common.p99": latencies["common"].p99, "batch": latencies["batch"].p50,
            }  # fmt: skip

    def _take_turns(self, kind: str, method: str, *arguments: object, engines_only: bool) -> None:
        turns: dict[str, list[Turn]] = {}
        what, *more = arguments
        for run in range(self._options.runs):
            runners = self._contestants()
            at = run % len(runners)
            for runner in (*runners[at:], *runners[:at]):
                if engines_only and runner.name not in ENGINE:
                    continue
                with self._may_be_left_out(runner.name):
                    turn = runner.ask(method, what, self._options.turn_limit, *more)
                    turns.setdefault(runner.name, []).append(turn)
        for runner in self._contestants():
            if runner.name in turns:
                found = latency(turns[runner.name])
                self._results.latencies.setdefault(runner.name, {})[kind] = found
                self._note_refused(runner, kind, found.queries)
                say(
                    f"{self._name}: {runner.name}: {kind}: p50 {found.p50:.3f} ms, p99 {found.p99:.3f} ms"
                    f" ({found.queries:,} timed, processor {found.busy:.0%})"
                )

    def _note_refused(self, runner: Runner, kind: str, queries: int) -> None:
        """Note how many queries of a kind the engine refused: they were asked again, to be capped."""
        if runner.name in ENGINE and (refused := runner.ask("refused")):
            self._results.contestants[runner.name][f"{kind}: above the budget, share"] = refused / queries

    def _growing(self) -> None:
        """Add concepts, turn by turn: recorded ones, then such that compete; the peer's insertion between."""
        seconds: dict[str, dict[str, list[float]]] = {}

        def note(name: str, what: str, value: float) -> None:
            seconds.setdefault(name, {}).setdefault(what, []).append(value)

        for turn in range(self._options.runs):
            for runner, _ in self._engines():
                reading, applying, count = runner.ask("replay", turn)
                note(runner.name, "reading decisions", reading / count)
                note(runner.name, "applying decisions", applying / count)
                note(runner.name, "reading and applying decisions", (reading + applying) / count)
            if "usearch" in self._runners:
                with self._may_be_left_out("usearch"):
                    spent, count = self._runners["usearch"].ask("insertion", turn)
                    note("usearch", "insertion", spent / count)
        for size, what in ((BATCH, "allocation in batches"), (1, "allocation, single")):
            for turn in range(self._options.runs):
                for runner, _ in self._engines():
                    parts = runner.ask("allocate", turn, size)
                    note(runner.name, what, sum(parts.values()))
                    for part, value in parts.items():
                        note(runner.name, f"{what}: {part}", value)
        for name, found in seconds.items():
            for what, values in found.items():
                self._results.contestants[name][f"{what}, µs"] = 1e6 * median(values)
                say(f"{self._name}: {name}: {what}: {1e6 * median(values):.1f} µs a concept")
        self._judge_growing()

    def _judge_growing(self) -> None:
        peer = self._results.contestants.get("usearch", {}).get("insertion, µs")
        for runner, kernels in self._engines():
            measured, figures = self._results.contestants[runner.name], self._results.figures[kernels]
            figures["apply"] = measured["reading and applying decisions, µs"]
            figures["allocation.batch"] = measured["allocation in batches, µs"]
            figures["allocation.single"] = measured["allocation, single, µs"] / 1000
            if peer is not None:
                figures["insertion"] = peer / measured["applying decisions, µs"]

    def _spreading(self) -> None:
        for runner, kernels in self._engines():
            say(f"{self._name}: {runner.name}: adding relationships, and consolidating")
            measured = self._results.contestants[runner.name]
            measured |= runner.ask("relate")
            done = runner.ask("consolidate")
            self._results.figures[kernels]["pause"] = 1000 * done["cpu"]
            measured |= {
                "consolidation, items": done["items"],
                "longest item, ms of the processor": 1000 * done["cpu"],
                "longest item, ms": 1000 * done["wall"],
            }  # fmt: skip
        self._take_turns("2 hops", "times", self._options.query_set, "spread", engines_only=True)
        for runner, kernels in self._engines():
            self._results.figures[kernels]["spreading.p50"] = self._results.latencies[runner.name][
                "2 hops"
            ].p50

    def _snapshots(self) -> None:
        """Write and load snapshots, turn by turn; where `--work` is, there is the disk."""
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(self._options.runs):
            for runner, kernels in self._engines():
                directory = self._case.directory / f"snapshots-{kernels}"
                found.setdefault(runner.name, []).append(runner.ask("snapshot", directory))
                shutil.rmtree(directory)
        for runner, kernels in self._engines():
            measured, figures = self._results.contestants[runner.name], self._results.figures[kernels]
            of = {name: median(each[name] for each in found[runner.name]) for name in found[runner.name][0]}
            figures["snapshot.write"], figures["snapshot.load"] = of["write"], of["load"]
            measured |= {
                "snapshot copied, s": of["copy"], "snapshot copied, sealed and synced, s": of["write"],
                "snapshot opened and loaded, s": of["load"], "snapshot, MB": of["MB"],
            }  # fmt: skip
            say(
                f"{self._name}: {runner.name}: snapshot of {of['MB']:,.0f} MB written in {of['write']:.2f} s,"
                f" loaded in {of['load']:.2f} s"
            )

    def _same(self) -> None:
        digests = {kernels: runner.ask("digest") for runner, kernels in self._engines()}
        for runner, kernels in self._engines():
            self._results.contestants[runner.name]["most memory, MB"] = runner.ask("memory")
            if len(digests) > 1:
                self._results.figures[kernels]["same"] = float(len(set(digests.values())) == 1)

    def _profiles(self) -> None:
        queries = [query.text for query in self._queries()[self._options.query_set]]
        for runner, kernels in self._engines():
            self._results.profiles[kernels] = runner.ask("profile", queries)
