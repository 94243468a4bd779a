#!/usr/bin/env python3
"""What a tenant feels of another that asks ten times what it may. Exit code 3 when it is too much.

    .venv/bin/python scripts/bench/neighbour.py [--rounds N] [--seconds N]

A node and a database of its own. One tenant reads and queries at a steady rate; in the second half of each
round another sends 10 times its limit. A request's time counts from when it was due, so that waiting behind
others is in it. Figures are medians of the rounds. Target: p99 at most 1.5 times that of the first half.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import ssl
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
os.environ.setdefault("CORTEX_KERNELS", "numpy")

from unit import postgres
from unit.server.node import Node, running

TARGET = 1.5
CONCEPTS = 2_000
STEADY = 100.0  # requests a second of the tenant that is measured
LIMIT, TIMES, SENDERS = 100, 10, 2
Took = tuple[float, float, int]  # when it was due, s; how long it took, s; status


@dataclass(frozen=True)
class Client:
    """A process that asks a node at a rate, over one connection, for a while."""

    node: Node
    tenant: str
    rate: float
    start: float
    seconds: float

    def run(self, results: Queue[list[Took]]) -> None:
        """Ask, and give what each request took."""
        context = ssl.create_default_context(cafile=str(self.node.directory / "ca.crt"))
        context.load_cert_chain(self.node.directory / "node.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.node.port, context=context)
        found = []
        for number in range(int(self.rate * self.seconds)):
            due = self.start + number / self.rate
            time.sleep(max(0.0, due - time.monotonic()))
            status = self._ask(connection, number)
            found.append((due, time.monotonic() - due, status))
        results.put(found)

    def _ask(self, connection: http.client.HTTPSConnection, number: int) -> int:
        path = f"/v1/tenants/{self.tenant}/cortices/main/"
        headers = {"authorization": f"Bearer {self.node.keys[self.tenant]}"}
        if number % 2:
            connection.request("GET", f"{path}concepts/c{number * 7919 % CONCEPTS}", headers=headers)
        else:
            body = json.dumps({"text": f"w{number % 97} w{number % 89}", "k": 5})
            connection.request("POST", f"{path}query", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def fill(node: Node, tenant: str) -> None:
    """Put concepts of five words each."""
    for start in range(0, CONCEPTS, 500):
        batch = [
            {"op": "put", "id": f"c{n}", "text": " ".join(f"w{(n * k) % 997}" for k in range(1, 6))}
            for n in range(start, start + 500)
        ]
        node.ask("POST", "batch", {"operations": batch}, tenant=tenant)


def measure(node: Node, seconds: float, senders: int) -> tuple[list[Took], list[Took]]:
    """Return what the requests of the steady tenant took, and those of the noisy one with so many senders."""
    for tenant in ("acme", "other"):
        node.keys[tenant] = node.renew_token(tenant)
    start = time.monotonic() + 1.0
    clients = [Client(node, "acme", STEADY, start, seconds)] + [
        Client(node, "other", LIMIT * TIMES / SENDERS, start, seconds) for _ in range(senders)
    ]
    context = multiprocessing.get_context("fork")
    results = [context.Queue() for _ in clients]
    pairs = list(zip(clients, results, strict=True))
    processes = [context.Process(target=client.run, args=(queue,)) for client, queue in pairs]
    for process in processes:
        process.start()
    steady, *noisy = [queue.get(timeout=seconds * 3 + 30) for queue in results]
    for process in processes:
        process.join()
    return steady, [each for some in noisy for each in some]


def percentile(took: list[Took], share: float) -> float:
    """Return a percentile in milliseconds. Raises SystemExit when a request was refused."""
    if refused := [status for _, _, status in took if status != 200]:
        raise SystemExit(f"the steady tenant was answered {refused[0]}")
    times = sorted(seconds for _, seconds, _ in took)
    return times[int(share * len(times))] * 1000


def one_round(node: Node, seconds: float) -> dict[str, float]:
    """Measure without the neighbour, then with it."""
    alone, _ = measure(node, seconds, 0)
    beside, noisy = measure(node, seconds, SENDERS)
    statuses = [status for _, _, status in noisy]
    if not {200, 429} >= set(statuses):
        raise SystemExit(f"the noisy tenant was answered {set(statuses)}")
    last = max(due + took for due, took, _ in noisy) - noisy[0][0]
    return {
        "p50_alone_ms": percentile(alone, 0.5), "p50_beside_ms": percentile(beside, 0.5),
        "p99_alone_ms": percentile(alone, 0.99), "p99_beside_ms": percentile(beside, 0.99),
        "ratio": percentile(beside, 0.99) / percentile(alone, 0.99),
        "noisy_sent_a_second": len(noisy) / last, "noisy_served_a_second": statuses.count(200) / last,
    }  # fmt: skip


def main() -> int:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in ("postgres", "node"):
            (Path(home) / name).mkdir()
        with postgres.running(Path(home) / "postgres") as port, running(Path(home) / "node", port) as node:
            for tenant in ("acme", "other"):
                fill(node, tenant)
            quota = {"concepts": 10**6, "columns": 10**6, "storage": 10**9, "requests": LIMIT}
            node.operator("PUT", "/v1/tenants/other/quota", tier="enterprise", quota=quota)
            rounds = []
            for _ in range(options.rounds):
                rounds.append(one_round(node, options.seconds))
                print({key: round(value, 2) for key, value in rounds[-1].items()}, file=sys.stderr)
    medians = {key: round(statistics.median(each[key] for each in rounds), 2) for key in rounds[0]}
    print(json.dumps({"rounds": options.rounds, "target": TARGET, **medians}, indent=1))
    return 0 if medians["ratio"] <= TARGET else 3


if __name__ == "__main__":
    sys.exit(main())
