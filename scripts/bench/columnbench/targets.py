"""The table of what the engine must reach and what it aims at, and the verdict on what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KERNELS = ("numba", "numpy")
LARGE = ("big", "hard")
Verdict = Literal["aim met", "must met", "missed", "not measured"]


@dataclass(frozen=True, slots=True)
class Target:
    """One row. The key names the figure of a set. `must` and `aim` are by kernels, in the figure's unit.

    more: more is better. strictly: it must be more than `must`, not as much. sets: on which sets it counts,
    the worst of them. peers: it needs one of those.
    """

    key: str
    title: str
    unit: str
    must: Mapping[str, float]
    aim: Mapping[str, float]
    more: bool = False
    strictly: bool = False
    sets: tuple[str, ...] = LARGE
    peers: tuple[str, ...] = ()

    def reached(self, figure: float, limit: float) -> bool:
        """Tell whether a figure is as good as a limit, or better."""
        if self.strictly:
            return figure > limit
        return figure >= limit if self.more else figure <= limit


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured for a target with some kernels, and the set on which it was worst."""

    target: Target
    kernels: str
    measured: float | None
    set: str
    verdict: Verdict


def _target(
    key: str, title: str, unit: str, numba: float, aim: float, numpy: float, numpy_aim: float | None = None,
    *, more: bool = False, strictly: bool = False, sets: tuple[str, ...] = LARGE, peers: tuple[str, ...] = (),
) -> Target:  # fmt: skip
    aims = {"numba": aim} if numpy_aim is None else {"numba": aim, "numpy": numpy_aim}
    return Target(key, title, unit, {"numba": numba, "numpy": numpy}, aims, more, strictly, sets, peers)


SMALL = ("wordnet",)
TEXT_PEERS = ("tantivy", "fts5", "pg_trgm")
TARGETS = (
    _target("mrr.low", "MRR less the best text peer's, lower end of the 95 % interval", "", 0, 0, 0,
            more=True, strictly=True, peers=TEXT_PEERS),
    _target("mrr.difference", "MRR less the best text peer's", "", 0, 0.02, 0,
            more=True, strictly=True, peers=TEXT_PEERS),
    _target("recall", "recall@10 against a full scan", "", 1, 1, 1, more=True),
    _target("same", "both kernels have the same arrays", "", 1, 1, 1, more=True),
    _target("query.p50", "query top 10, p50", "ms", 0.3, 0.13, 1),
    _target("query.p99", "query top 10, p99", "ms", 1.5, 0.7, 8),
    _target("common.p99", "queries of common words only, p99", "ms", 5, 1, 15),
    _target("query.p50", "query top 10 at 117,659 columns, p50", "ms", 0.05, 0.025, 0.3, sets=SMALL),
    _target("query.p99", "query top 10 at 117,659 columns, p99", "ms", 0.3, 0.1, 2, sets=SMALL),
    _target("batch", "query, batches of 256, per query", "ms", 0.3, 0.1, 1.2),
    _target("allocation.batch", "allocation, batches of 256, per concept", "µs", 150, 40, 500),
    _target("allocation.single", "allocation, single", "ms", 0.5, 0.1, 1.5),
    _target("apply", "applying recorded decisions, per concept", "µs", 5, 1, 10),
    _target("insertion", "insertion without competition, times as fast as usearch's add", "times", 10, 30, 5,
            more=True, peers=("usearch",)),
    _target("bytes", "bytes a column, index included", "B", 300, 200, 300),
    _target("spreading.p50", "2-hop spreading from 10 seeds, p50", "ms", 5, 1, 15),
    _target("snapshot.write", "snapshot to disk", "s", 5, 2, 5, 2),
    _target("snapshot.load", "snapshot, load by mapping", "s", 0.5, 0.1, 0.5, 0.1),
    _target("pause", "longest pause by consolidation", "ms", 5, 2, 5, 2),
)  # fmt: skip


def judge(target: Target, kernels: str, figure: float | None) -> Verdict:
    """Return the verdict on a figure."""
    if figure is None:
        return "not measured"
    if not target.reached(figure, target.must[kernels]):
        return "missed"
    if kernels in target.aim and target.reached(figure, target.aim[kernels]):
        return "aim met"
    return "must met"


def rows(
    figures: Mapping[tuple[str, str], Mapping[str, float]],
    sets: tuple[str, ...],
    peers: tuple[str, ...],
    kernels: tuple[str, ...] = KERNELS,
) -> list[Row]:
    """Return the table from the figures by set and kernels.

    Of a target's sets those count that were to be measured; targets of the large sets are judged on what
    there is when neither of them was. A figure that is missing on one set is not measured. Targets whose
    peers were not asked for are left out.
    """
    table: list[Row] = []
    for target in TARGETS:
        where = tuple(name for name in target.sets if name in sets)
        if not where and target.sets == LARGE:
            where = sets
        if not where or (target.peers and not set(target.peers) & set(peers)):
            continue
        table.extend(
            _row(target, each, {name: figures.get((name, each), {}) for name in where})
            for each in kernels
            if target.key != "same" or len(kernels) > 1
        )
    return table


def _row(target: Target, kernels: str, by_set: Mapping[str, Mapping[str, float]]) -> Row:
    missing = [name for name, figures in by_set.items() if target.key not in figures]
    if missing:
        return Row(target, kernels, None, missing[0], "not measured")
    choose = min if target.more else max
    worst = choose(by_set, key=lambda name: by_set[name][target.key])
    figure = by_set[worst][target.key]
    return Row(target, kernels, figure, worst, judge(target, kernels, figure))


def all_musts_met(table: list[Row]) -> bool:
    """Tell whether every must was measured and met."""
    return all(row.verdict in ("aim met", "must met") for row in table)
