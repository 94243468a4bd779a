#!/usr/bin/env python3
"""Measure the column engine beside its peers. Exit code 3 when something that must be reached is not.

    scripts/bench/columns.py                                    everything, at 1,000,000 columns
    scripts/bench/columns.py --set big --columns 20000          a look, in a few minutes

README.md beside this file says what is measured, and how.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
# hnswlib is published as source alone: it is built where there is a compiler and Python's headers.
PREPARE = """
. "$1/scripts/environment.sh"
environment runtime accelerator bench
if echo '#include <Python.h>' | ${CXX:-c++} -E -x c++ "-I$(
  "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" - >/dev/null 2>&1
then environment bench-source; fi
"""

if Path(sys.prefix) != ROOT / ".venv":  # run by any Python: go on in the project's own environment
    prepared = subprocess.run(["bash", "-euc", PREPARE, "bash", ROOT], check=False)
    if prepared.returncode:
        sys.exit(prepared.returncode)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import argparse  # noqa: E402
import fcntl  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402

from columnbench import corpus, plot, report, targets  # noqa: E402
from columnbench.contest import Contest, Options, Results, say  # noqa: E402
from columnbench.worker import ENGINE, ONE_THREAD, PEERS  # noqa: E402

SETS = tuple(corpus.SWAPPED)
MISSED, LOCKED = 3, 6
NOT_PUBLISHED = {
    "htm.core": "the package index has no such package: it would have to be built from a checkout"
}


def parse() -> tuple[Options, argparse.Namespace]:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description="Measure the column engine beside its peers.")
    add = parser.add_argument
    add("--set", action="append", choices=SETS, help="which texts (default: all; may be repeated)")
    add("--columns", type=positive, default=corpus.MILLION, help="texts of each set (default 1000000)")
    add("--peers", default="all", help=f"all, none, or some of {','.join(PEERS)}")
    add("--kernels", choices=("both", *ENGINE.values()), default="both", help="of the engine (default: both)")
    add("--runs", type=positive, default=5, help="turns of every contestant (default 5)")
    add("--queries", type=positive, default=2000, help="queries to report on (default 2000)")
    add("--query-set", choices=("report", "tuning"), default="report", help="tune on other queries")
    add("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="processor of the contestants")
    add("--work", type=Path, default=work_directory(), help="where texts and indexes are kept")
    add("--input", type=Path, help="an import file instead of WordNet")
    add("--build-limit", type=float, default=3600, help="seconds a peer may take to build its index")
    add("--rank-limit", type=float, default=2400, help="seconds a peer may take to answer queries, a run")
    add("--turn-limit", type=float, default=15, help="seconds of a turn (default 15)")
    add("--output", choices=("table", "json"), default="table")
    add("--plot", type=Path, help="where to draw (default: columns.png in the work directory)")
    add("--profile", action="store_true", help="show where the engine's time goes")
    add("--prepare", action="store_true", help="only build what is kept, and let the peers answer")
    arguments = parser.parse_args()
    peers = chosen_peers(parser, arguments.peers)
    if arguments.cpu not in os.sched_getaffinity(0):
        parser.error(f"--cpu {arguments.cpu}: this process may run on {sorted(os.sched_getaffinity(0))}")
    kernels = tuple(ENGINE.values()) if arguments.kernels == "both" else (arguments.kernels,)
    if "numba" in kernels and importlib.util.find_spec("numba") is None:
        parser.error("numba is not installed: run this file by itself, or ask for --kernels numpy")
    options = Options(
        arguments.columns, arguments.queries, arguments.query_set, arguments.runs, peers, kernels,
        arguments.work, arguments.input, arguments.cpu, arguments.build_limit, arguments.rank_limit,
        arguments.turn_limit, arguments.profile,
    )  # fmt: skip
    return options, arguments


def positive(text: str) -> int:
    """Return a number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def chosen_peers(parser: argparse.ArgumentParser, text: str) -> tuple[str, ...]:
    """Return the names in a list, with what stands for all and for none."""
    if text in ("all", "none"):
        return tuple(PEERS) if text == "all" else ()
    names = tuple(text.split(","))
    for name in names:
        if name not in PEERS:
            parser.error(f"--peers: {name!r} is none of {', '.join(PEERS)}")
    return names


def work_directory() -> Path:
    """Return where texts and indexes are kept: a cache directory of the user."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cortexkg" / "bench"


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Let one run at a time use the work directory. Exits with 6 when there is another."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Error: another run uses {work}: wait for its end, or name another directory by --work.")
            sys.exit(LOCKED)
        yield


def measure(options: Options, sets: tuple[str, ...], base: list[str]) -> list[Results]:
    """Measure set by set."""
    results = []
    for name in sets:
        results.append(Contest(name, base, options).run())
        results[-1].left_out |= NOT_PUBLISHED if options.peers else {}
    return results


def draw(results: list[Results], path: Path) -> None:
    """Draw the picture, or say why not."""
    try:
        plot.draw(results, path)
        say(f"plot: {path}")
    except ImportError:
        say("plot: left out, matplotlib is not installed: run this file by itself, it installs what it needs")


def main() -> int:
    """Measure, print, draw, judge."""
    options, arguments = parse()
    os.environ.update(ONE_THREAD)
    sets = tuple(name for name in SETS if name in (arguments.set or SETS))
    with locked(options.work):
        base = corpus.read_base(options.input, options.work)
        if arguments.prepare:
            for name in sets:
                Contest(name, base, options).prepare()
            return 0
        results = measure(options, sets, base)
    figures = {(each.set, kernels): each.figures[kernels] for each in results for kernels in each.figures}
    table = targets.rows(figures, sets, options.peers, options.kernels)
    draw(results, arguments.plot or options.work / "columns.png")
    if arguments.output == "json":
        asked = {key: str(value) for key, value in vars(arguments).items()}
        print(json.dumps(report.to_json(results, table, asked), indent=1))
    else:
        report.show(results, table)
    return 0 if targets.all_musts_met(table) else MISSED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
