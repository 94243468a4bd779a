"""An import from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.client import Client
from cortexctl import render
from cortexctl.deployment import Deployment
from cortexctl.importing import display, journal, lines, sending, source

PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a dry run says: the source is right, and what it holds."""

    source: str
    concepts: int
    relationships: int
    bytes: int


def check(name: str) -> Checked:
    """Read and check a source; nothing is sent. Raises UsageError."""
    with source.opened(name) as file:
        found = lines.survey(file, name)
    return Checked(name, found.concepts, found.relationships, found.size)


def import_file(
    deployment: Deployment,
    connect: Callable[[], Client],
    tenant: str,
    cortex: str,
    name: str,
    *,
    batch: int | None = None,
    restart: bool = False,
    patience: float = PATIENCE,
) -> sending.Summary:
    """Import a source, or what is left of it. `connect` gives a client once all lines are checked.

    Raises UsageError (bad lines), Refused, Locked, OutcomeUnknown and ClientError.
    """
    if batch is not None:
        lines.check_limit(batch)
    with source.opened(name) as file:
        survey = lines.survey(file, name)
        opened = journal.opened(
            deployment.directory / "imports", tenant, cortex, source.identity(name), survey,
            batch=batch, restart=restart,
        )  # fmt: skip
        with connect() as client, opened as record, display.shown(survey.concepts) as progress:
            if record.done:
                done = len(record.done)
                render.note(f"Continuing the import of {record.task.started} after {done} batches.")
            batches = lines.batches(file, record.task.batch)
            try:
                return sending.send(client, record, batches, patience=patience, progress=progress)
            except KeyboardInterrupt:
                render.note("Interrupted. Repeat the same command to continue where it was.")
                raise
