"""What a load's figures are, and what is held against them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cortexctl.errors import UsageError
from cortexctl.load import figures, judging
from cortexctl.load.figures import Sample
from cortexctl.load.judging import Thresholds

GENEROUS = Thresholds(read_p99_ms=1e9, write_p99_ms=1e9, error_rate=1.0, rate=0.0)


def test_figures_of_a_hundred_reads_and_a_write() -> None:
    samples = [Sample("read", number / 1000) for number in range(1, 101)]
    found = figures.of([*samples, Sample("write", 0.5), Sample("read", 9.0, "503 unavailable")], 10.0)
    assert found.requests == 102
    assert found.rate == 10.1
    assert found.error_rate == pytest.approx(1 / 102, abs=1e-6)
    assert (found.read_p50_ms, found.read_p99_ms) == (50.0, 99.0)
    assert (found.write_p50_ms, found.write_p99_ms) == (500.0, 500.0)
    assert found.failures == {"503 unavailable": 1}


def test_what_was_not_measured_is_not_met() -> None:
    nothing = figures.of([], 1.0)
    missed = {verdict.figure for verdict in judging.judge(nothing, GENEROUS, "threshold") if not verdict.met}
    assert missed == {"read_p99_ms", "write_p99_ms"}
    assert nothing.error_rate == 1.0


@pytest.mark.parametrize(
    ("bound", "figure"),
    [
        ({"read_p99_ms": 9.99}, "read_p99_ms"), ({"write_p99_ms": 19.99}, "write_p99_ms"),
        ({"error_rate": 0.33}, "error_rate"), ({"rate": 2.1}, "rate"),
    ],
)  # fmt: skip
def test_each_bound_is_held(bound: dict[str, float], figure: str) -> None:
    found = figures.of([Sample("read", 0.01), Sample("write", 0.02), Sample("read", 1.0, "no")], 1.0)
    exact = Thresholds(read_p99_ms=10.0, write_p99_ms=20.0, error_rate=0.34, rate=2.0)
    assert all(verdict.met for verdict in judging.judge(found, exact, "threshold"))
    tight = Thresholds(**{name: bound.get(name, getattr(exact, name)) for name in Thresholds.__slots__})
    assert [v.figure for v in judging.judge(found, tight, "threshold") if not v.met] == [figure]


def test_a_baseline_is_an_earlier_record_with_a_tolerance(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(
        json.dumps({"url": "x", "figures": {"read_p99_ms": 8, "write_p99_ms": 16.0, "rate": 100.0}})
    )
    assert judging.baseline(path, 0.25) == Thresholds(10.0, 20.0, 1.0, 75.0)


@pytest.mark.parametrize(
    "content", ["", "{}", '{"figures": {"rate": 1}}', "[", '{"figures": {"read_p99_ms": null}}']
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="is no record of a load"):
        judging.baseline(path, 0.25)
