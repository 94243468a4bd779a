"""Progress of an import on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cortexctl import render
from cortexctl.importing.sending import Progress

LOG_EVERY = 5.0


@contextmanager
def shown(total: int) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows how many of `total` concepts are imported."""
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    from rich.console import Console  # noqa: PLC0415 - imported where it is used: --help must be quick
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("import", total=total)
        yield lambda progress: bar.update(task, completed=progress.concepts)


def _lines(total: int) -> Callable[[Progress], None]:
    last = time.monotonic()

    def log(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= LOG_EVERY:
            last = time.monotonic()
            render.note(
                f"{progress.concepts:,} of {total:,} concepts, {progress.relationships:,} relationships"
            )

    return log
