"""When snapshots are written, and that nothing changes while one is copied."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from structlog.testing import capture_logs

from cortex_runtime.changelog import owner as owning
from cortex_runtime.changelog import snapshotting
from cortex_runtime.changelog.owner import Owner
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.changelog.snapshotfile import Origin
from cortex_runtime.changelog.snapshots import Name, Snapshots
from cortex_runtime.changelog.snapshotting import LEAST_PAUSE, OFTEN, STALE, SWEEP_PERIOD, Snapshotting
from cortex_runtime.columns import Cortex
from cortex_runtime.columns.consolidation import Consolidation
from cortex_runtime.columns.snapshot import Image
from cortex_runtime.objectstore import ObjectStoreError
from cortex_runtime.server.consolidating import Consolidator
from unit.changelog.test_snapshots import files, keyring, keys, snapshots  # noqa: F401 - fixtures
from unit.columns.worlds import filled, put

KEY = ("acme", "main")
NUMBER = slot_of(*KEY)


class Held:
    """What a node holds: one slot, whose log goes on with each write."""

    ready = True
    left: frozenset[str] = frozenset()
    first = True

    def __init__(self) -> None:
        self.now = 0.0
        self.slot = Slot(NUMBER, token=1, seq=5, digest=b"d" * 32)
        self.slot.cortices[KEY] = filled(50)
        self.slots = {NUMBER: self.slot}

    @property
    def cortex(self) -> Cortex:
        return self.slot.cortices[KEY]

    def is_first_holder(self, slot: int) -> bool:
        return self.first

    async def tell(self, use: Mapping[tuple[str, int], int]) -> None:
        self.told = dict(use)

    def clock(self) -> float:
        return self.now

    def write(self, count: int = 1) -> None:
        first = 1000 + self.cortex.operations
        puts = [put(first + n, f"number {first + n} of them") for n in range(count)]
        self.cortex.apply(self.cortex.compete(puts)[1])
        self.slot.seq += 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(snapshotting, "SMALLEST", 10)
    return Held()


@pytest.fixture
def task(held: Held, snapshots: Snapshots) -> Snapshotting:  # noqa: F811
    return Snapshotting(snapshots, held, held.tell, clock=held.clock)


def look(task: Snapshotting, held: Held, after: float = 0.0) -> None:
    held.now += after
    asyncio.run(task.look())


def sequences(snapshots: Snapshots) -> list[int]:  # noqa: F811
    return [name.seq for name in snapshots.here(*KEY)]


def test_a_first_snapshot_then_one_when_enough_has_changed(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    look(task, held)
    assert sequences(snapshots) == [5]
    assert [name.seq for name in snapshots.stored(*KEY)] == [5]
    look(task, held, 2 * OFTEN)
    assert sequences(snapshots) == [5]  # nothing has changed
    held.now -= 2 * OFTEN
    held.write()
    look(task, held, OFTEN - 1)
    assert sequences(snapshots) == [5]
    look(task, held, 1)
    assert sequences(snapshots) == [6, 5]
    monkeypatch.setattr(snapshotting, "MANY", 20)
    held.write(19)
    look(task, held, LEAST_PAUSE)
    assert sequences(snapshots) == [6, 5]
    held.write(2)
    look(task, held)
    assert sequences(snapshots) == [8, 6]
    held.write(30)
    look(task, held, LEAST_PAUSE - 1)
    assert sequences(snapshots) == [8, 6]
    look(task, held, 1)
    assert sequences(snapshots) == [9, 8]
    assert snapshots.open(snapshots.here(*KEY)[0])[1].digest() == held.cortex.digest()


def test_others_changes_of_the_slot_are_worth_one_before_the_log_forgets(
    held: Held, task: Snapshotting, snapshots: Snapshots  # noqa: F811
) -> None:  # fmt: skip
    look(task, held)
    held.slot.seq += 1
    look(task, held, STALE - 1)
    assert sequences(snapshots) == [5]
    look(task, held, 1)
    assert sequences(snapshots) == [6, 5]


def test_what_came_from_a_snapshot_needs_none_at_once(
    held: Held, task: Snapshotting, snapshots: Snapshots  # noqa: F811
) -> None:  # fmt: skip
    held.slot.origins[KEY] = Origin(*KEY, 1, 4, b"", held.cortex.operations - 1, 1)
    look(task, held)
    look(task, held, OFTEN - 1)
    assert sequences(snapshots) == []
    look(task, held, 1)
    assert sequences(snapshots) == [5]


def test_a_small_cortex_needs_none(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setattr(snapshotting, "SMALLEST", held.cortex.concept_count + 1)
    look(task, held)
    asyncio.run(task.leave())
    assert sequences(snapshots) == []


def test_leaving_writes_what_has_changed_at_all_and_uploads_nothing(
    held: Held, task: Snapshotting, snapshots: Snapshots  # noqa: F811
) -> None:  # fmt: skip
    look(task, held)
    held.write()
    asyncio.run(task.leave())
    assert sequences(snapshots) == [6, 5]
    assert len(snapshots.stored(*KEY)) == 1
    held.write()
    look(task, held, OFTEN)
    assert sequences(snapshots) == [6, 5]


def test_what_is_due_when_the_node_leaves_is_not_uploaded_any_more(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    other = next(f"c{n}" for n in range(9999) if slot_of("acme", f"c{n}") == NUMBER)
    held.slot.cortices["acme", other] = filled(50)
    fill = Image.fill

    async def run() -> None:
        loop = asyncio.get_running_loop()
        leaving: list[Future[None]] = []

        def leave(image: Image, state: Any) -> None:
            if not leaving:
                leaving.append(asyncio.run_coroutine_threadsafe(task.leave(), loop))
            fill(image, state)

        monkeypatch.setattr(Image, "fill", leave)
        await task.look()
        await asyncio.wrap_future(leaving[0])

    asyncio.run(run())
    assert (len(sequences(snapshots)), len(snapshots.here("acme", other))) == (1, 1)
    assert len(snapshots.stored(*KEY)) == 1
    assert snapshots.stored("acme", other) == []


def test_only_the_first_holder_uploads(held: Held, task: Snapshotting, snapshots: Snapshots) -> None:  # noqa: F811
    held.first = False
    look(task, held)
    assert sequences(snapshots) == [5]
    assert snapshots.stored(*KEY) == []


def test_what_fails_is_said_and_tried_again_later(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    with monkeypatch.context() as patch, capture_logs() as logged:
        patch.setattr("os.fsync", fail(OSError(28, "No space left on device")))
        look(task, held)
        look(task, held, 1)
    assert ["No space" in line["why"] for line in logged] == [True]
    assert sequences(snapshots) == []
    with monkeypatch.context() as patch, capture_logs() as logged:
        patch.setattr(snapshots, "upload", fail(ObjectStoreError("it does not answer")))
        look(task, held, LEAST_PAUSE)
    assert "does not answer" in logged[-1]["why"]
    assert sequences(snapshots) == [5]


def fail(error: Exception) -> Callable[..., None]:
    def failing(*_: object) -> None:
        raise error

    return failing


def test_nothing_changes_while_a_cortex_is_copied_and_the_loop_goes_on(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    begun, go_on, fill = threading.Event(), threading.Event(), Image.fill
    before = held.cortex.digest()
    passed: list[str] = []

    def slowly(image: Image, state: Any) -> None:
        begun.set()
        assert go_on.wait(10)
        fill(image, state)

    async def writer() -> None:
        await asyncio.to_thread(begun.wait)
        passed.append("the loop goes on")
        async with asyncio.timeout(0.05):
            async with held.slot.changing:
                passed.append("it changes")

    async def run() -> None:
        looking = asyncio.create_task(task.look())
        with pytest.raises(TimeoutError):
            await writer()
        go_on.set()
        async with held.slot.changing:
            held.write()
        await looking

    monkeypatch.setattr(Image, "fill", slowly)
    asyncio.run(run())
    assert passed == ["the loop goes on"]
    assert held.cortex.digest() != before
    origin, cortex = snapshots.open(snapshots.here(*KEY)[0])
    assert (origin.seq, cortex.digest()) == (5, before)


def test_an_owner_applies_what_it_appended_once_the_copy_is_made(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, steps = MagicMock(), []

    async def prepare(*_: object) -> SimpleNamespace:
        answers = {(write.tenant, write.key): b""}
        return SimpleNamespace(rejected=[], writes=[write], changes=[], answers=answers)

    async def append(*_: object) -> bytes:
        steps.append("appended")
        return held.slot.digest

    async def run() -> None:
        owner: Any = Owner(held.slot, 1, node="n", primary=MagicMock(), directory=MagicMock(),
                           fresh=lambda: True, lost=MagicMock())  # fmt: skip
        async with held.slot.changing:
            performing = asyncio.create_task(owner._perform([write]))
            await asyncio.sleep(0.05)
            steps.append("copied")
        await performing
        steps.append("applied")

    write.succeed = lambda _: steps.append("answered")
    monkeypatch.setattr(owning, "prepare", prepare)
    monkeypatch.setattr(Owner, "_append", append)
    asyncio.run(run())
    assert steps == ["appended", "copied", "answered", "applied"]


def test_nothing_is_consolidated_while_a_cortex_is_copied(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    consolidator: Any = Consolidator(MagicMock())
    consolidator._service.replica.owners = {}
    stepped: list[float] = []

    def step(_: Consolidation, seconds: float) -> int:
        stepped.append(seconds)
        return 1

    monkeypatch.setattr(Consolidation, "step", step)

    async def run() -> tuple[bool, bool]:
        async with held.slot.changing:
            meanwhile = consolidator._consolidate(held.slot, held.cortex)
        assert stepped == []
        return meanwhile, consolidator._consolidate(held.slot, held.cortex)

    assert asyncio.run(run()) == (False, True)


def test_a_slot_that_was_reloaded_meanwhile_gives_none(
    held: Held, task: Snapshotting, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    fill = Image.fill

    def reload(image: Image, state: Any) -> None:
        held.slots[NUMBER] = Slot(NUMBER)
        fill(image, state)

    monkeypatch.setattr(Image, "fill", reload)
    look(task, held)
    assert sequences(snapshots) == []


def test_snapshots_of_what_is_no_longer_held_are_removed(
    held: Held, task: Snapshotting, snapshots: Snapshots, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    look(task, held)
    gone = Name("acme", next(f"c{n}" for n in range(9999) if slot_of("acme", f"c{n}") == NUMBER), 1, 1, 1)
    elsewhere = Name("acme", "elsewhere", 1, 1, 1)
    for name in (gone, elsewhere):
        for directory in ("here", "objects"):
            (tmp_path / directory / str(name)).write_bytes(b"")
    held.ready = False
    look(task, held, SWEEP_PERIOD)
    assert len(files(tmp_path / "here")) == 3
    held.ready = True
    look(task, held)
    assert files(tmp_path / "here") == [str(snapshots.here(*KEY)[0])]
    # Of slots that it does not hold it knows nothing: those are for others to remove.
    assert files(tmp_path / "objects") == sorted([str(snapshots.here(*KEY)[0]), str(elsewhere)])
