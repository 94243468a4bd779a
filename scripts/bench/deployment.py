#!/usr/bin/env python3
"""Measure a deployment on this machine beside its targets, as a table. Exit code 3 when one is missed.

    scripts/bench/deployment.py [--import FILE] [--drills N]

It makes a deployment of its own, named `bench`, and removes it. Times are medians of several.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORTEXCTL = ROOT / "scripts" / "cortexctl"
PYTHON = ROOT / ".venv" / "bin" / "python"
NAME = "bench"
IDLE_SECONDS = 30
DRILLS = {"node-loss": 5, "database-loss": 5, "region-loss": 30}

if Path(sys.prefix) != ROOT / ".venv":  # run by any Python: go on in the project's own environment
    subprocess.run([CORTEXCTL, "--help"], stdout=subprocess.DEVNULL, check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import httpx  # noqa: E402 - these come with the environment

from cortexctl import deployment as deployments  # noqa: E402
from cortexctl import platforms  # noqa: E402


@dataclass(frozen=True)
class Figure:
    """A measured figure beside its target, which it must stay below."""

    name: str
    value: float
    target: float
    unit: str


def cortexctl(*words: str) -> str:
    """Run the command line and return what it printed."""
    command: list[str | Path] = [CORTEXCTL, "--deployment", NAME, *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@contextmanager
def deployment() -> Iterator[None]:
    """A deployment of our own."""
    cortexctl("up", "--yes")
    try:
        yield
    finally:
        cortexctl("down", "--yes", "--delete-data")


def starting() -> list[Figure]:
    """The command line's own start, and the deployment's."""
    helps = [timed(lambda: cortexctl("--help")) for _ in range(7)]
    ups = []
    for _ in range(3):
        cortexctl("down", "--yes")
        ups.append(timed(lambda: cortexctl("up", "--yes")))
    fresh = []
    for _ in range(3):
        cortexctl("down", "--yes", "--delete-data")
        fresh.append(timed(lambda: cortexctl("up", "--yes")))
    return [
        Figure("cortexctl --help", statistics.median(helps), 0.3, "s"),
        Figure("up with data, all nodes healthy", statistics.median(ups), 30, "s"),
        Figure("up from nothing, all nodes healthy", statistics.median(fresh), 30, "s"),
    ]


def idle(found: deployments.Deployment) -> list[Figure]:
    """Processor time over half a minute without requests, and proportional set size."""
    pids = processes(found)
    before = sum(map(processor_seconds, pids))
    time.sleep(IDLE_SECONDS)
    used = sum(map(processor_seconds, pids)) - before
    return [
        Figure(f"idle, {len(pids)} processes", 100 * used / IDLE_SECONDS, 30, "% of a core"),
        Figure("memory (PSS), all of them", sum(map(proportional_kib, pids)) / 1024, 1536, "MiB"),
    ]


def processes(found: deployments.Deployment) -> list[int]:
    """Return the processes of the regions and of the edge."""
    platform = platforms.of(found)
    names = [*found.nodes_a_region, "edge"]
    return [int(line.split()[0]) for name in names for line in platform.region_processes(name)]


def processor_seconds(pid: int) -> float:
    """Return what a process has used, 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional_kib(pid: int) -> int:
    """Return a process' proportional set size, 0 when it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
    return int(found[1]) if found else 0


def balancing(found: deployments.Deployment) -> list[Figure]:
    """What a region's load balancer adds to a request, and how evenly it spreads them over five nodes."""
    cortexctl("up", "--yes", "--nodes", "5")
    region = deployments.load(NAME).regions[0]
    context = ssl.create_default_context(cafile=str(found.ca_certificate))
    context.load_cert_chain(found.operator_certificate)
    path = "/v1/openapi.json"
    with httpx.Client(verify=context, trust_env=False) as client:
        near, through = f"https://{region.nodes[0].address}{path}", region.load_balancer_url + path
        rounds = [(timed(lambda: client.get(near)), timed(lambda: client.get(through))) for _ in range(500)]
        served = Counter(client.get(through).headers["cortex-node"] for _ in range(1000))
    cortexctl("up", "--yes", "--nodes", "2")
    added = statistics.median(b for _, b in rounds) - statistics.median(a for a, _ in rounds)
    counts = [served[node.name] for node in region.nodes]
    spread = statistics.pstdev(counts) / statistics.mean(counts)
    return [
        Figure("latency that a load balancer adds, p50", 1000 * added, 1, "ms"),
        Figure("1,000 requests over five nodes, coefficient of variation", 100 * spread, 10, "%"),
    ]


def importing(found: deployments.Deployment, lines: Path) -> list[Figure]:
    """Import of a file, then queries timed by a client that keeps its connection to one node."""
    from cortexctl import access, credentials  # noqa: PLC0415

    cortexctl("tenant", "onboard", NAME)
    seconds = timed(lambda: cortexctl("tenant", "import", NAME, str(lines)))
    texts = [json.loads(line)["text"] for line in lines.read_text().splitlines()[::500]]
    with access.open_client(found) as client:
        token = access.log_in(client, NAME, credentials.api_key(found, NAME)).token
    context = ssl.create_default_context(cafile=str(found.ca_certificate))
    context.load_cert_chain(found.operator_certificate)
    url = f"https://{found.nodes[0].address}/v1/tenants/{NAME}/cortices/main/query"
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(verify=context, trust_env=False, headers=headers) as client:
        times = [timed(partial(_query, client, url, text)) for text in texts]
    return [
        Figure(f"import of {lines.name}", seconds, 120, "s"),
        Figure(f"query top 10 at a node, {len(times)} texts, p50", 1000 * statistics.median(times), 5, "ms"),
        Figure("the same, p99", 1000 * statistics.quantiles(times, n=100)[98], 1000, "ms"),
    ]


def _query(client: httpx.Client, url: str, text: str) -> None:
    client.post(url, json={"text": text, "k": 10}).raise_for_status()


def losing(count: int) -> list[Figure]:
    """Time from each fault to the first of five good write-and-read rounds, and what was lost or a ghost."""
    figures = []
    for drill, target in DRILLS.items():
        reports = [json.loads(cortexctl("drill", "run", drill, "--output", "json")) for _ in range(count)]
        times = [report["rto_seconds"] for report in reports]
        broken = sum(report["lost"] + report["ghosts"] for report in reports)
        figures += [
            Figure(f"{drill}, recovery time, median of {count}", statistics.median(times), target, "s"),
            Figure(f"{drill}, longest", max(times), target, "s"),
            Figure(f"{drill}, lost and ghosts", broken, 1, ""),
        ]
    return figures


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--import", dest="lines", type=Path, help="JSON lines to import and to query")
    parser.add_argument("--drills", type=int, default=3, help="how often to run each drill (0: none)")
    options = parser.parse_args()
    missed = 0
    with deployment():
        for figure in measured(options.lines, options.drills):
            met = figure.value < figure.target
            missed += not met
            target = f"< {figure.target:g}"
            verdict = "ok" if met else "MISSED"
            print(
                f"{figure.name:<58} {figure.value:>9.3f}  {target:<9} {figure.unit:<12} {verdict}", flush=True
            )
    return 3 if missed else 0


def measured(lines: Path | None, drills: int) -> Iterator[Figure]:
    """Measure, and give each figure as soon as it is there."""
    yield from starting()
    found = deployments.load(NAME)
    yield from idle(found)
    yield from balancing(found)
    if lines:
        yield from importing(found, lines)
    if drills:
        yield from losing(drills)


if __name__ == "__main__":
    sys.exit(main())
