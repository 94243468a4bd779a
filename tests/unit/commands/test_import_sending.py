from __future__ import annotations

import io
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortexctl.errors import Locked, OutcomeUnknown, Refused, UsageError
from cortexctl.importing import journal, lines, sending
from cortexctl.importing.journal import Journal
from unit.commands.service import Service


def source(count: int, word: str = "text") -> io.BytesIO:
    return io.BytesIO(
        b"".join(json.dumps({"id": f"c{i}", "text": f"{word} {i}"}).encode() + b"\n" for i in range(count))
    )


def opened(
    directory: Path, file: io.BytesIO, *, batch: int | None = 3, restart: bool = False
) -> AbstractContextManager[Journal]:
    return journal.opened(
        directory / "imports",
        "acme",
        "main",
        "words",
        lines.survey(file, "words"),
        batch=batch,
        restart=restart,
    )


def run(
    directory: Path, file: io.BytesIO, service: Service, *, patience: float = 5.0, **options: Any
) -> sending.Summary:
    with opened(directory, file, **options) as record:
        batches = lines.batches(file, record.task.batch)
        return sending.send(service, record, batches, patience=patience)  # type: ignore[arg-type]


def test_everything_is_sent_once(tmp_path: Path) -> None:
    service = Service()
    summary = run(tmp_path, source(20), service)
    assert sorted(service.puts) == sorted(f"c{i}" for i in range(20))
    assert (summary.concepts, summary.allocated, summary.batches, summary.earlier) == (20, 20, 7, 0)


@given(
    faults=st.lists(st.sampled_from(["", "lost", "dropped", "refused"]), max_size=25), cut=st.integers(0, 400)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_exactly_once_through_faults_and_a_cut_journal(
    tmp_path_factory: pytest.TempPathFactory, faults: list[str], cut: int
) -> None:
    """However answers are lost, and wherever the journal was cut, each concept is put once."""
    directory = tmp_path_factory.mktemp("import")
    service = Service(lambda method, call: faults[call - 1] if call <= len(faults) else "")
    try:
        run(directory, source(20), service, patience=0.0)
    except Exception:  # whatever ended it, the next run goes on
        (path,) = (directory / "imports").glob("*.jsonl")
        content = path.read_bytes()
        header = content.index(b"\n") + 1
        path.write_bytes(content[: max(header, len(content) - cut)])
        faults.clear()
        run(directory, source(20), service)
    assert sorted(service.puts) == sorted(f"c{i}" for i in range(20))


def test_an_outcome_that_stays_unknown_is_said_and_settled_by_the_next_run(tmp_path: Path) -> None:
    faults = {"on": True}
    service = Service(lambda method, call: "lost" if faults["on"] and call > 2 else "")
    with pytest.raises(OutcomeUnknown) as error:
        run(tmp_path, source(20), service, patience=0.2)
    assert error.value.exit_code == 7
    faults["on"] = False
    summary = run(tmp_path, source(20), service)
    assert summary.earlier >= 6
    assert sorted(service.puts) == sorted(f"c{i}" for i in range(20))


@pytest.mark.parametrize("code", ["invalid", "dimension", "cycle"])
def test_a_batch_the_service_refuses_is_named_by_its_line(tmp_path: Path, code: str) -> None:
    service = Service(lambda method, call: code if call == 3 else "")
    with pytest.raises(UsageError, match="line"):
        run(tmp_path, source(20), service)
    assert service.calls <= 3 + 3  # it is final: nothing is tried for as long as patience lasts


@pytest.mark.parametrize("code", ["quota", "capacity"])
def test_when_there_is_room_again_an_import_goes_on_where_it_was(tmp_path: Path, code: str) -> None:
    service = Service(lambda method, call: code if call == 3 else "")
    with pytest.raises(Refused, match="line"):
        run(tmp_path, source(20), service)
    summary = run(tmp_path, source(20), service)
    assert (summary.concepts, summary.earlier > 0) == (20, True)
    assert sorted(service.puts) == sorted(f"c{i}" for i in range(20))


def test_a_finished_import_is_done_again_when_asked_again(tmp_path: Path) -> None:
    service = Service()
    run(tmp_path, source(4), service)
    summary = run(tmp_path, source(4), service)
    assert (summary.updated, summary.earlier) == (4, 0)
    assert len(service.puts) == 8


def test_a_changed_file_is_noticed_and_restart_begins_again(tmp_path: Path) -> None:
    with opened(tmp_path, source(20)) as record:
        record.record(journal.Done(batch=0, line=1, concepts=3, relationships=0))
    with pytest.raises(Refused, match="changed"), opened(tmp_path, source(20, "other")):
        pass
    assert run(tmp_path, source(20, "other"), Service(), restart=True).concepts == 20


def test_a_file_that_changed_before_anything_was_imported_is_a_new_import(tmp_path: Path) -> None:
    with opened(tmp_path, source(20)) as record:
        first = record.task.run
    with opened(tmp_path, source(20, "other")) as record:
        assert record.task.run != first


def test_an_interrupted_import_keeps_its_batches(tmp_path: Path) -> None:
    with opened(tmp_path, source(20), batch=3) as record:
        record.record(journal.Done(batch=0, line=1, concepts=3, relationships=0))
    with pytest.raises(Refused, match="only the same batches"), opened(tmp_path, source(20), batch=4):
        pass
    with opened(tmp_path, source(20), batch=None) as record:
        assert record.task.batch == 3


def test_two_runs_of_one_import_exclude_each_other(tmp_path: Path) -> None:
    with opened(tmp_path, source(20)), pytest.raises(Locked), opened(tmp_path, source(20)):
        pass


@given(cut=st.integers(0, 600))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_cut_anywhere_gives_its_whole_lines(tmp_path: Path, cut: int) -> None:
    with opened(tmp_path, source(20), restart=True) as record:
        for index in range(4):
            record.record(journal.Done(batch=index, line=1 + 3 * index, concepts=3, relationships=0))
        path, run_id = record.path, record.task.run
    content = path.read_bytes()
    kept = content[: len(content) - min(cut, len(content))]
    path.write_bytes(kept)
    with opened(tmp_path, source(20), batch=None) as record:
        whole = max(kept.count(b"\n") - 1, 0)
        assert sorted(record.done) == list(range(whole))
        assert (record.task.run == run_id) == (b"\n" in kept or kept == content[: content.index(b"\n")])
