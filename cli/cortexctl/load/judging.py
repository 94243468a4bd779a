"""Whether figures are good enough: beside thresholds, and beside what was measured before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cortex_runtime.formats import decoding
from cortexctl import inputs
from cortexctl.errors import UsageError
from cortexctl.load.figures import Figures

LATENCIES = ("read_p99_ms", "write_p99_ms")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What must hold: at most these latencies (ms) and this share of errors, at least this rate (1/s)."""

    read_p99_ms: float
    write_p99_ms: float
    error_rate: float
    rate: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure beside its bound; `measured` is None when nothing was."""

    figure: str
    measured: float | None
    bound: float
    kind: str
    met: bool


class _Recorded(msgspec.Struct, frozen=True):
    """What a record of an earlier run must have; its other fields are for people."""

    read_p99_ms: float
    write_p99_ms: float
    rate: float


class _Record(msgspec.Struct, frozen=True):
    figures: _Recorded


def baseline(path: Path, tolerance: float) -> Thresholds:
    """Return what an earlier run's record demands: no figure is worse by more than the share `tolerance`.

    Its errors demand nothing: that bound is absolute. Raises UsageError when it is no record.
    """
    try:
        found = msgspec.json.decode(inputs.file(path), type=_Record).figures
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is no record of a load.",
            why=str(error),
            todo="Make one: cortexctl bench load TENANT --output json >FILE.",
        ) from error
    return Thresholds(
        found.read_p99_ms * (1 + tolerance), found.write_p99_ms * (1 + tolerance), 1.0,
        found.rate * (1 - tolerance),
    )  # fmt: skip


def judge(figures: Figures, bounds: Thresholds, kind: str) -> Iterator[Verdict]:
    """Yield a verdict for each figure. One that was not measured is not met."""
    for name in (*LATENCIES, "error_rate"):
        measured, bound = getattr(figures, name), getattr(bounds, name)
        yield Verdict(name, measured, round(bound, 3), kind, measured is not None and measured <= bound)
    yield Verdict("rate", figures.rate, round(bounds.rate, 3), kind, figures.rate >= bounds.rate)


decoding.learn(globals())
