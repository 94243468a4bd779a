"""What a long command is doing, on stderr: a live display on a terminal, a line an event otherwise."""

from __future__ import annotations

import re
import sys
import threading
import time
from types import TracebackType

from cortexctl.terraform import Event

_WORDS = {
    ("apply_start", "create"): "starting",
    ("apply_start", "delete"): "stopping",
    ("apply_complete", "create"): "started",
    ("apply_complete", "delete"): "stopped",
    ("apply_errored", "create"): "failed to start",
    ("apply_errored", "delete"): "failed to stop",
}


class Progress:
    """Tells what each part of a deployment is doing. Safe to call from several threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._live = _Live() if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def event(self, event: Event) -> None:
        """Tell one of Terraform's events, if it is news to a person."""
        what = re.sub(r"^module\.(node\[\"([^\"]*)\"\]|(\w+))\..*", r"\2\3", event.address)
        if words := _WORDS.get((event.kind, event.action)):
            self.tell(event.root, f"{what} {words}")

    def tell(self, part: str, message: str) -> None:
        """Tell what a part (a region, the edge, the deployment) is doing now."""
        with self._lock:
            if self._live:
                self._live.show(part, message)
            else:
                sys.stderr.write(f"[{time.monotonic() - self._began:6.1f} s] {part}: {message}\n")
                sys.stderr.flush()


class _Live:
    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.progress import Progress as Display  # noqa: PLC0415
        from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._display = Display(
            SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.fields[part]:<12}"),
            TextColumn("{task.description}", markup=False), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def start(self) -> None:
        self._display.start()

    def stop(self) -> None:
        self._display.stop()

    def show(self, part: str, text: str) -> None:
        if part not in self._tasks:
            self._tasks[part] = self._display.add_task(text, total=None, part=part)
        self._display.update(self._tasks[part], description=text)
