"""What every contestant is and gets."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

TOP = 10


class LeftOut(Exception):
    """A peer is not measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a contestant finds its set, and how it runs.

    directory: of the set: texts, extras, queries. encoded: what the engine made of them. peers: where peers
    keep what they built. columns: how many texts. cpu: the processor all contestants share, in turns. limit:
    seconds that a peer may take to build its index. batches: of 256 texts that are added in a turn. turns:
    how many turns there may be. queries: of each kind, at most.
    """

    directory: Path
    encoded: Path
    peers: Path
    columns: int
    cpu: int
    limit: float
    batches: int
    turns: int
    queries: int

    def check(self, deadline: float, done: int) -> None:
        """Raise LeftOut when it takes too long."""
        if perf_counter() > deadline:
            raise LeftOut(
                f"{done:,} of {self.columns:,} texts were indexed in {self.limit:.0f} s"
                " (--build-limit allows more)"
            )

    def built(self, directory: Path, fill: Callable[[], None]) -> dict[str, float]:
        """Fill a directory, unless that was done before, and return what it took: seconds and bytes.

        What was begun and not finished is removed.
        """
        stamp = directory / "built.json"
        if not stamp.exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            begun = perf_counter()
            fill()
            figures = {
                "build, s": perf_counter() - begun,
                "index, bytes a text": directory_bytes(directory) / self.columns,
            }
            stamp.write_text(json.dumps(figures))
        loaded: dict[str, float] = json.loads(stamp.read_text())
        return loaded


class Contestant(Protocol):
    """Answers queries. What `answer` returns need not be text numbers yet: `documents` is not timed."""

    def build(self) -> dict[str, float]:
        """Build or load the index; return figures. Raises LeftOut."""

    def prepare(self, text: str) -> Any:
        """Return what `answer` takes; not timed, as encoding is not."""

    def answer(self, query: Any) -> Any:
        """Find the ten best: this is what is timed."""

    def documents(self, answer: Any) -> Sequence[int]:
        """Return the numbers of the texts of an answer, best first."""

    def close(self) -> None:
        """End what was started."""


def package(name: str, published: str) -> Any:
    """Return a module of a peer's package. Raises LeftOut when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LeftOut(f"the package {published} is not installed ({error})") from error


def directory_bytes(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
