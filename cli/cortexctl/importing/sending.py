"""Sending of batches: a few in flight, each repeated under its own key until its answer is known."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from cortex_runtime.client import ApiError, Client, ClientError
from cortex_runtime.formats.messages import BatchRequest, BatchResponse
from cortexctl.access import cortex_path
from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused, UsageError
from cortexctl.importing.journal import Done, Journal
from cortexctl.importing.lines import Batch

IN_FLIGHT = 4
SLICE = 5.0
FINAL = frozenset(
    {
        "invalid", "unauthenticated", "not_found", "forbidden", "conflict", "too_large", "dimension", "cycle",
        "capacity", "quota",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: what was acknowledged so far, in earlier runs too."""

    concepts: int
    relationships: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import did. `earlier` of the concepts were imported before it was interrupted; seconds and rate
    (concepts a second) are this run's."""

    tenant: str
    cortex: str
    concepts: int
    allocated: int
    joined: int
    updated: int
    relationships: int
    batches: int
    earlier: int
    seconds: float
    rate: float


def send(
    client: Client,
    journal: Journal,
    batches: Iterable[Batch],
    *,
    patience: float,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Send what the journal doesn't have yet, and record each batch in it as it is acknowledged.

    A batch is tried for `patience` seconds. Raises OutcomeUnknown when its outcome is unknown even then,
    UsageError when the service finds something wrong in it, ClientError otherwise. What was
    acknowledged until then stays in the journal.
    """
    started = time.monotonic()
    earlier = sum(entry.concepts for entry in journal.done.values())
    done = list(journal.done.values())
    stop = threading.Event()
    progress(_progress(done))

    def collect(futures: Iterable[Future[Done]]) -> None:
        for future in sorted(futures, key=lambda one: one.exception() is not None):  # failures last
            entry = future.result()
            journal.record(entry)
            done.append(entry)
            progress(_progress(done))

    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="import") as pool:
        flying: set[Future[Done]] = set()
        try:
            for batch in batches:
                if batch.index in journal.done:
                    continue
                if len(flying) == IN_FLIGHT:
                    landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                    collect(landed)
                flying.add(pool.submit(_deliver, client, journal, batch, patience, stop))
            while flying:
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                collect(landed)
        except BaseException:
            stop.set()
            _keep_what_landed(journal, flying)
            raise
    journal.finish()
    return _summary(journal, done, earlier, time.monotonic() - started)


def _deliver(client: Client, journal: Journal, batch: Batch, patience: float, stop: threading.Event) -> Done:
    task = journal.task
    path = cortex_path(task.tenant, task.cortex, "batch")
    body = BatchRequest(operations=list(batch.operations))
    key = batch.idempotency_key(task.run, task.tenant, task.cortex)
    until = time.monotonic() + patience
    unknown = False
    while True:
        try:
            answer = client.request(
                "POST", path, body, type=BatchResponse, idempotency_key=key, deadline=min(SLICE, patience)
            )
        except ClientError as error:
            unknown = unknown or error.unknown
            if isinstance(error, ApiError) and error.code in FINAL:
                raise _refused(batch, error) from error
            if time.monotonic() > until or stop.is_set():
                error.unknown = unknown
                raise _given_up(batch, error) from error
        else:
            return _done(batch, answer)


def _done(batch: Batch, answer: BatchResponse) -> Done:
    counts = Counter(result.outcome for result in answer.results)
    return Done(
        batch=batch.index, line=batch.line, concepts=len(batch.operations), relationships=batch.relationships,
        allocated=counts["allocated"], joined=counts["joined"], updated=counts["updated"],
    )  # fmt: skip


def _keep_what_landed(journal: Journal, flying: set[Future[Done]]) -> None:
    """Wait for what is in flight and record what was acknowledged, so that less is sent again."""
    for future in wait(flying).done:
        if future.exception() is None:
            journal.record(future.result())


def _refused(batch: Batch, error: ApiError) -> Exception:
    what = f"The service does not take the batch that begins in line {batch.line}."
    why = f"{error.message} ({len(batch.operations)} concepts)"
    if error.code in {"capacity", "quota"}:
        return Refused(what, why=why, todo="Make room, and repeat the same command: it continues there.")
    if error.code in {"invalid", "too_large", "dimension", "cycle"}:
        todo = "Mend the line; nothing of this batch was imported. Repeat with --restart afterwards."
        return UsageError(what, why=why, todo=todo)
    return error


def _given_up(batch: Batch, error: ClientError) -> CortexctlError | ClientError:
    if not error.unknown:
        return error
    return OutcomeUnknown(
        f"Whether the batch that begins in line {batch.line} was imported is unknown.", why=str(error),
        todo="Repeat the same command: it continues there, and nothing is imported twice.",
    )  # fmt: skip


def _progress(done: list[Done]) -> Progress:
    return Progress(sum(entry.concepts for entry in done), sum(entry.relationships for entry in done))


def _summary(journal: Journal, done: list[Done], earlier: int, seconds: float) -> Summary:
    concepts = sum(entry.concepts for entry in done)
    return Summary(
        tenant=journal.task.tenant, cortex=journal.task.cortex, concepts=concepts,
        allocated=sum(entry.allocated for entry in done), joined=sum(entry.joined for entry in done),
        updated=sum(entry.updated for entry in done),
        relationships=sum(entry.relationships for entry in done), batches=len(done), earlier=earlier,
        seconds=round(seconds, 3), rate=round((concepts - earlier) / max(seconds, 1e-9), 1),
    )  # fmt: skip
