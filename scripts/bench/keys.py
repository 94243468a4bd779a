#!/usr/bin/env python3
"""Rotation under load: how soon the new version is in use, how long re-encryption takes, what requests feel.

    .venv/bin/python scripts/bench/keys.py     100,000 concepts, 3 rounds, on a node and a database of its own
    ... --concepts 20000 --rounds 1

A round: a load of reads and writes for a while (normal), then a rotation with the same load until no row is
under an older version. Targets: the answer < 1 s, re-encryption < 60 s, p99 during it < 2 x of normal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
os.environ.setdefault("CORTEX_KERNELS", "numpy")

from unit import postgres
from unit.server.keys import database, rotate
from unit.server.node import Node, running

NORMAL_SECONDS = 15.0
LIMIT = 600.0
RATE = 100.0  # requests a second of each client: reads, and every fifth a write
CLIENTS = 2


@dataclass
class Load:
    """Clients that read and write at a steady rate; how long each request took from when it was due."""

    node: Node
    concepts: int
    stop: threading.Event = field(default_factory=threading.Event)
    took: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def run(self, number: int) -> None:
        """Read and write until it is to stop."""
        count, due = 0, time.monotonic()
        while not self.stop.is_set():
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            count += 1
            name = f"concepts/c{(count * 7919 + number * 31) % self.concepts}"
            begun = time.monotonic()
            if count % 5:
                answer = self.node.send("GET", name)
            else:
                answer = self.node.send("PUT", f"concepts/w{number}-{count}", {"text": f"written{count} now"})
            self.took.append((begun, time.monotonic() - begun))
            self.failed += answer.status_code != 200
            if answer.status_code == 401:
                raise SystemExit("the token is good no more")

    def p99(self, start: float, end: float) -> float:
        """Return the 99th percentile in milliseconds of the requests that began then."""
        some = sorted(took for begun, took in self.took if start <= begun < end)
        return some[int(0.99 * len(some))] * 1000 if some else 0.0


def fill(node: Node, concepts: int) -> None:
    """Put concepts, by ten words each."""
    for start in range(0, concepts, 1000):
        batch = [
            {"op": "put", "id": f"c{n}", "text": " ".join(f"w{(n * k) % 9973}" for k in range(1, 11))}
            for n in range(start, min(start + 1000, concepts))
        ]
        node.ask("POST", "batch", {"operations": batch})


def rows_under(node: Node, version: int) -> int:
    """Return how many rows are under another version."""
    with database(node) as connection:
        row = connection.execute(
            "select coalesce(sum(rows), 0)::int from key_rows where tenant = 'acme' and version <> %s",
            [version],
        ).fetchone()
    return int(row[0]) if row else 0


def one_round(node: Node, concepts: int) -> dict[str, float]:
    """Measure a rotation."""
    node.keys["acme"] = node.renew_token("acme")
    load = Load(node, concepts)
    clients = [threading.Thread(target=load.run, args=(n,)) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(2.0)
    begun = time.monotonic()
    time.sleep(NORMAL_SECONDS)
    rotating = time.monotonic()
    version = rotate(node)
    answered = time.monotonic()
    while rows_under(node, version):
        time.sleep(0.25)
        if time.monotonic() - answered > LIMIT:
            raise SystemExit(f"not re-encrypted after {LIMIT:.0f} s")
    done = time.monotonic()
    load.stop.set()
    for client in clients:
        client.join()
    normal, during = load.p99(begun, rotating), load.p99(rotating, done)
    return {
        "answer_s": answered - rotating, "reencryption_s": done - answered, "p99_normal_ms": normal,
        "p99_during_ms": during, "ratio": during / normal, "failed": load.failed,
    }  # fmt: skip


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--concepts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in ("postgres", "node"):
            (Path(home) / name).mkdir()
        with postgres.running(Path(home) / "postgres") as port, running(Path(home) / "node", port) as node:
            begun = time.monotonic()
            fill(node, options.concepts)
            print(f"{options.concepts} concepts put in {time.monotonic() - begun:.0f} s", file=sys.stderr)
            rounds = []
            for _ in range(options.rounds):
                rounds.append(one_round(node, options.concepts))
                print({key: round(value, 3) for key, value in rounds[-1].items()}, file=sys.stderr)
    medians = {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}
    print(json.dumps({"concepts": options.concepts, "rounds": options.rounds, **medians}, indent=1))


if __name__ == "__main__":
    main()
