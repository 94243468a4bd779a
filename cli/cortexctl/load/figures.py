"""What was measured: requests of a kind, by how long they took and how many failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("read", "write")


@dataclass(frozen=True, slots=True)
class Sample:
    """A request: its kind, the seconds from when it was due to its answer, and what failed ("": nothing)."""

    kind: str
    seconds: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """`rate`: good answers a second; `error_rate`: of all requests, 0 to 1; latencies in milliseconds.

    Latencies are of the good answers alone; None when there are none.
    """

    requests: int
    rate: float
    error_rate: float
    read_p50_ms: float | None
    read_p99_ms: float | None
    write_p50_ms: float | None
    write_p99_ms: float | None
    failures: dict[str, int]


def of(samples: Sequence[Sample], seconds: float) -> Figures:
    """Return the figures of samples that were taken in so many seconds."""
    good = [sample for sample in samples if not sample.failure]
    times = {kind: sorted(sample.seconds for sample in good if sample.kind == kind) for kind in KINDS}
    return Figures(
        requests=len(samples),
        rate=round(len(good) / seconds, 1),
        error_rate=round(1 - len(good) / len(samples), 6) if samples else 1.0,
        read_p50_ms=_percentile(times["read"], 0.50),
        read_p99_ms=_percentile(times["read"], 0.99),
        write_p50_ms=_percentile(times["write"], 0.50),
        write_p99_ms=_percentile(times["write"], 0.99),
        failures=dict(Counter(sample.failure for sample in samples if sample.failure).most_common(10)),
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile: a time that was measured, never one between two of them."""
    if not ordered:
        return None
    return round(1000 * ordered[math.ceil(share * len(ordered)) - 1], 2)
