#!/usr/bin/env python3
"""Measure cortexctl policy check on a plan of 500 resources. Exit code 3 when its target is missed.

    .venv/bin/python scripts/bench/policies.py [--resources N] [--runs N]

The plan is that of a region (tests/unit/policy), to which tenants come until it has so many. Once as up does
it before an apply, in its own process: the plan is read, the rules are compiled and asked. And once by the
command, each run a process of its own, from which what Python takes to start, and to import what the command
line does for --help, is taken off. Figures are medians. Processor seconds are shown, too: where others
compute, they say more than the clock.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from cortexctl.policy import Judge, facts_of, read_plan, rules_of
from unit.policy.region import plan

TARGET = 1.0
CORTEXCTL = [sys.executable, "-P", "-m", "cortexctl.main"]


def grown(resources: int) -> dict[str, Any]:
    """Return the plan with tenants until it has so many managed resources."""
    found = plan()
    changes = [each for each in found["resource_changes"] if each["mode"] == "managed"]
    tenant = [each for each in changes if each.get("module_address") == 'module.tenant["acme"]']
    number = 0
    while len(changes) < resources:
        number += 1
        text = json.dumps(tenant[: resources - len(changes)]).replace("acme", f"acme-{number}")
        changes += copy.deepcopy(json.loads(text))
    return found | {"resource_changes": changes}


def measure(arguments: Sequence[str], runs: int) -> tuple[float, float]:
    """Return the medians of seconds by the clock and of the processor."""
    walls, processors = [], []
    for _ in range(runs):
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*CORTEXCTL, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.monotonic() - begun)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(processors)


def check_here(content: bytes, runs: int) -> tuple[float, float]:
    """Return the medians of seconds by the clock and of the processor, as up checks a plan."""
    walls, processors = [], []
    for _ in range(runs):
        begun, before = time.monotonic(), time.process_time()
        Judge(rules_of("terraform"), facts_of(None)).judge(read_plan(content, "the plan"))
        processors.append(time.process_time() - before)
        walls.append(time.monotonic() - begun)
    return statistics.median(walls), statistics.median(processors)


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description="Measure cortexctl policy check.")
    parser.add_argument("--resources", type=int, default=500)
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(grown(chosen.resources), file)
        file.flush()
        content = Path(file.name).read_bytes()
        within = check_here(content, chosen.runs)
        start = measure(["--help"], chosen.runs)
        check = measure(["policy", "check", "--plan", file.name], chosen.runs)
    wall, processor = (whole - alone for whole, alone in zip(check, start, strict=True))
    print(
        f"a plan of {chosen.resources} resources, {len(content) / 1e6:.1f} MB, medians of {chosen.runs} runs"
    )
    print(f"within up:                 {within[0]:.2f} s, processor {within[1]:.2f} s")
    print(f"start of the command line: {start[0]:.2f} s, processor {start[1]:.2f} s")
    print(
        f"policy check beyond that:  {wall:.2f} s, processor {processor:.2f} s (target: below {TARGET:.0f} s)"
    )
    return 0 if max(wall, within[0]) < TARGET else 3


if __name__ == "__main__":
    sys.exit(main())
