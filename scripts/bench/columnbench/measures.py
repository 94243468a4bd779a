"""What is computed from answers and times: mean reciprocal rank, its interval, percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RESAMPLED = 10_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a contestant: seconds of each query by the wall clock, processor seconds of all of them.

    complete: all queries had their turn, not only as many as there was time for.
    """

    seconds: list[float]
    cpu: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. queries: how many were timed. busy: share of the time that the processor was ours.

    pooled: the percentiles are those of the queries of all turns together.
    """

    p50: float
    p99: float
    queries: int
    busy: float
    pooled: bool


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval in which it is with 95 % probability."""

    mean: float
    low: float
    high: float


def reciprocal_ranks(answers: Sequence[Sequence[int]], wanted: Sequence[int]) -> Floats:
    """Return 1/rank of what is wanted in each answer, 0 where it is missing."""
    return np.array(
        [
            1 / (1 + answer.index(number)) if number in answer else 0.0
            for answer, number in zip(answers, wanted, strict=True)
        ]
    )


def bootstrap(values: Floats, seed: int = 8, resampled: int = RESAMPLED) -> Interval:
    """Return the mean of values with its 95 % interval, by the percentiles of resampled means.

    For a difference between two systems, pass the differences query by query: a paired bootstrap. (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.)
    """
    random = np.random.Generator(np.random.PCG64(seed))
    means = [
        values[
            (random.random((min(_AT_ONCE, resampled - at), values.size)) * values.size).astype(np.int64)
        ].mean(1)
        for at in range(0, resampled, _AT_ONCE)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def latency(turns: Sequence[Turn]) -> Latency:
    """Return the median over turns of each turn's percentiles.

    When a contestant is so slow that it never got through all queries in a turn, what it answered in all
    turns counts together.
    """
    every = [second for turn in turns for second in turn.seconds]
    pooled = not all(turn.complete for turn in turns)
    if not pooled:
        percentiles = [np.percentile(turn.seconds, [50, 99]) for turn in turns]
        p50, p99 = (median(float(each[at]) for each in percentiles) for at in (0, 1))
    else:
        p50, p99 = (float(each) for each in np.percentile(every, [50, 99]))
    busy = sum(turn.cpu for turn in turns) / max(sum(every), 1e-9)
    return Latency(1e3 * p50, 1e3 * p99, len(every), busy, pooled)
