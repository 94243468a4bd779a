"""Mean reciprocal ranks, their interval, and percentiles of turns."""

from __future__ import annotations

import numpy as np
import pytest

from columnbench.measures import Turn, bootstrap, latency, reciprocal_ranks


def test_reciprocal_ranks() -> None:
    answers = [[7, 3, 5], [3, 7], [1, 2], []]
    assert reciprocal_ranks(answers, [7, 7, 7, 7]).tolist() == [1, 0.5, 0, 0]


def test_the_interval_of_a_constant_is_the_constant() -> None:
    interval = bootstrap(np.full(100, 0.25))
    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_the_interval_is_that_of_the_normal_distribution_for_many_values() -> None:
    values = np.random.Generator(np.random.PCG64(1)).standard_normal(2000) + 0.1
    interval = bootstrap(values)
    error = float(values.std()) / np.sqrt(2000)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_the_same_values_have_the_same_interval() -> None:
    values = np.array([0.0, 1.0, 0.5, 0.2])
    assert bootstrap(values) == bootstrap(values)


def test_a_median_over_turns_is_not_moved_by_one_disturbed_turn() -> None:
    calm = Turn([0.001] * 99 + [0.002], cpu=0.1, complete=True)
    disturbed = Turn([1.0] * 100, cpu=0.1, complete=True)
    found = latency([calm, disturbed, calm])
    assert found.p50 == pytest.approx(1.0)
    assert found.p99 == pytest.approx(1.01)
    assert (found.queries, found.pooled) == (300, False)
    assert found.busy == pytest.approx(0.3 / 100.202)


def test_turns_that_were_too_short_count_together() -> None:
    turns = [Turn([second], cpu=second, complete=False) for second in (1.0, 2.0, 3.0)]
    found = latency(turns)
    assert found.p50 == pytest.approx(2000)
    assert found.pooled
    assert found.busy == pytest.approx(1)
