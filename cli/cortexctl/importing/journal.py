"""How far an import has come: an append-only, fsynced file in the deployment's directory.

The first line says what is imported and under which run; each further line is a batch that the service
has acknowledged. Losing its tail is harmless: the batch is sent again under the same idempotency key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import msgspec

from cortex_runtime.formats import decoding
from cortex_runtime.formats.framing import framed
from cortexctl import durable
from cortexctl.errors import Refused
from cortexctl.importing.lines import Survey

FORMAT = "cortexkg-import-1"
DEFAULT_BATCH = 500


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is imported: the journal's first line. `run` is made anew for each import that starts over."""

    format: str
    run: str
    tenant: str
    cortex: str
    source: str
    digest: str
    concepts: int
    batch: int
    started: str


class Done(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch that was acknowledged, with what became of its concepts."""

    batch: int
    line: int
    concepts: int
    relationships: int
    allocated: int = 0
    joined: int = 0
    updated: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The journal's last line."""

    finished: str


class Journal:
    """The journal of one import, open for appending. `done` are the batches of earlier runs, by index."""

    def __init__(self, path: Path, task: Task, done: dict[int, Done]) -> None:
        self.path, self.task, self.done = path, task, done
        self._file = path.open("ab")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def record(self, entry: Done | Finished) -> None:
        """Append an entry; it lasts when this returns."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Say that everything was imported: the next import of this source is a new one."""
        self.record(Finished(finished=_now()))


@contextmanager
def opened(
    directory: Path,
    tenant: str,
    cortex: str,
    source: str,
    survey: Survey,
    *,
    batch: int | None,
    restart: bool,
) -> Iterator[Journal]:
    """Open the journal of an import: the one that was interrupted, else a new one.

    `batch` is the number of concepts a batch; one that is resumed keeps its own. Raises Refused when the
    source changed since it was interrupted, Locked when another run imports it.
    """
    name = hashlib.blake2b(framed(tenant, cortex, source), digest_size=8).hexdigest()
    with ExitStack() as stack:
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            what = f"The import of {source} into {tenant}/{cortex}"
            stack.enter_context(durable.exclusive(directory / f".{name}.lock", what))
            path = directory / f"{tenant}-{cortex}-{name}.jsonl"
            task, done = (None, {}) if restart else _unfinished(path)
            if task is None or (not done and task.digest != survey.digest):
                task = _new(tenant, cortex, source, survey, batch or DEFAULT_BATCH)
                durable.write(path, msgspec.json.encode(task) + b"\n")
            _same(task, survey, batch)
            journal = stack.enter_context(Journal(path, task, done))
        except OSError as error:
            raise Refused(
                f"The journal of the import cannot be written in {directory}.",
                why=str(error),
                todo="Run it as the user that ran cortexctl up, or make room on the disk.",
            ) from error
        yield journal


def _new(tenant: str, cortex: str, source: str, survey: Survey, batch: int) -> Task:
    return Task(
        format=FORMAT, run=secrets.token_hex(8), tenant=tenant, cortex=cortex, source=source,
        digest=survey.digest, concepts=survey.concepts, batch=batch, started=_now(),
    )  # fmt: skip


def _same(task: Task, survey: Survey, batch: int | None) -> None:
    if task.digest != survey.digest:
        raise Refused(
            f"{task.source} changed since its import of {task.started} was interrupted.",
            why="The batches that were imported cannot be told from those that were not.",
            todo="Give --restart to import all of it, or restore the file and repeat.",
        )
    if batch is not None and batch != task.batch:
        raise Refused(
            f"The import of {task.started} was interrupted; only the same batches continue it.",
            why=f"They have {task.batch} concepts, not {batch}.",
            todo="Leave --batch out to continue it, or give --restart.",
        )


def _unfinished(path: Path) -> tuple[Task | None, dict[int, Done]]:
    """Return the task and the batches of an interrupted import; cuts what was not written to its end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, {}
    lines = content.splitlines(keepends=True)
    try:
        task = msgspec.json.decode(lines[0], type=Task)
    except (msgspec.MsgspecError, IndexError):
        return None, {}
    done: dict[int, Done] = {}
    whole = len(lines[0])
    for line in lines[1:]:
        try:
            if not line.endswith(b"\n"):
                break
            entry = msgspec.json.decode(line, type=Done)
        except msgspec.MsgspecError:
            if b'"finished"' in line:
                return None, {}
            break
        done[entry.batch] = entry
        whole += len(line)
    if whole < len(content):
        os.truncate(path, whole)
    return (task, done) if task.format == FORMAT else (None, {})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


decoding.learn(globals())
