"""The figures as a picture: quality against latency, and latencies beside what must be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from columnbench.contest import Results
from columnbench.targets import LARGE, TARGETS

COLOURS = {
    "engine-numba": "#c8102e", "engine-numpy": "#e8743b", "tantivy": "#1f5fa8", "fts5": "#4f9bd9",
    "pg_trgm": "#7fb9d6", "usearch": "#2e7d32", "faiss-flat": "#66a869", "faiss-hnsw": "#9ac29c",
    "hnswlib": "#8d6e2f",
}  # fmt: skip
_BAR = 0.38
_LEAST_MISSED = 1e-3  # where the axis ends


def draw(results: list[Results], path: Path) -> None:
    """Write a PNG. Raises ImportError without matplotlib."""
    import matplotlib  # noqa: PLC0415 - of the extra bench

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(
        2, len(results), figsize=(7 * len(results), 11), squeeze=False, layout="constrained"
    )
    for column, each in enumerate(results):
        _quality(axes[0][column], each)
        _bars(axes[1][column], each)
    figure.suptitle("Query for the top 10, one thread on one processor, contestants in turns", fontsize=15)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _quality(axes: Any, results: Results) -> None:
    points = [
        (name, results.latencies[name]["single"].p50, figures["MRR"])
        for name, figures in results.contestants.items()
        if "MRR" in figures and "single" in results.latencies.get(name, {})
    ]
    for name, milliseconds, rank in sorted(points, key=lambda point: -point[2]):
        axes.scatter(
            milliseconds, max(1 - rank, _LEAST_MISSED), s=130, color=COLOURS[name],
            marker="*" if name.startswith("engine") else "o", edgecolor="black", zorder=3,
            label=f"{name}: {rank:.3f}, {milliseconds:.3g} ms",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.margins(0.12)
    axes.set_xlabel("p50, ms a query (log; left is better)")
    axes.set_ylabel("1 less mean reciprocal rank (log; up is better)")
    axes.legend(loc="lower right", fontsize=9, title="mean reciprocal rank, p50")
    axes.set_title(f"{results.set}: {results.columns:,} texts")
    axes.grid(visible=True, which="both", alpha=0.25)


def _bars(axes: Any, results: Results) -> None:
    names = [name for name in results.contestants if "single" in results.latencies.get(name, {})]
    for place, name in enumerate(names):
        found = results.latencies[name]["single"]
        axes.barh(place - _BAR / 2, found.p50, _BAR, color=COLOURS[name])
        axes.barh(place + _BAR / 2, found.p99, _BAR, color=COLOURS[name], alpha=0.45)
        for offset, value, label in ((-_BAR / 2, found.p50, "p50"), (_BAR / 2, found.p99, "p99")):
            axes.text(value * 1.08, place + offset, f"{label} {value:.3g}", va="center", fontsize=8)
    for target in TARGETS:
        applies = results.set in target.sets or (target.sets == LARGE and results.set in LARGE)
        if target.key in ("query.p50", "query.p99") and applies:
            style = "-" if target.key == "query.p50" else ":"
            axes.axvline(
                target.must["numba"], color="#c8102e", linestyle=style, linewidth=1.2,
                label=f"must, numba, {target.key[-3:]}: {target.must['numba']:g} ms",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlabel("ms a query (log); full: p50, pale: p99")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", fontsize=8)
    axes.grid(visible=True, axis="x", alpha=0.25)
