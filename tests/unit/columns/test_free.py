"""Which columns are free, beside sets: what is taken, given back and woken, and states that are restored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns.arrays import ColumnArrays
from cortex_runtime.columns.free import FreeColumns, FreeView

FAR = 9000  # two blocks and more


@dataclass
class Model:
    """What has to be known of free columns, by a set and a dictionary."""

    watermark: int = 0
    free: set[int] = field(default_factory=set)
    resting: dict[int, int] = field(default_factory=dict)

    def take(self, columns: list[int]) -> None:
        end = max(self.watermark, *(column + 1 for column in columns))
        self.free |= set(range(self.watermark, end))
        self.watermark = end
        for column in columns:
            self.free.discard(column)
            self.resting.pop(column, None)

    def release(self, column: int, until: int, operation: int) -> bool:
        if operation > until:
            self.free.add(column)
        else:
            self.resting[column] = until
        return operation <= until

    def wake(self, operation: int) -> set[int]:
        woken = {column for column, until in self.resting.items() if until < operation}
        self.free |= woken
        self.resting = {c: until for c, until in self.resting.items() if c not in woken}
        return woken

    def lowest(self) -> int:
        return min(self.free, default=self.watermark)


def check(columns: FreeColumns, model: Model) -> None:
    assert columns.watermark == model.watermark
    asked = {0, 1, FAR, model.watermark, model.watermark + 1, *model.resting, *sorted(model.free)[:9]}
    assert {c: columns.rests_until(c) for c in asked} == {c: model.resting.get(c) for c in asked}
    found: list[int] = []
    while more := columns.free_from(found[-1] + 1 if found else 0):
        found += more
    assert found == sorted(model.free)


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "release", "wake", "view"]), st.integers(0, 5), st.integers(0, 8)),
    max_size=30,
)


@given(STEPS, st.lists(st.integers(0, 2 * FAR - 1), max_size=8, unique=True), st.booleans())
@settings(max_examples=40, deadline=None)
def test_free_columns_are_those_of_a_set(
    steps: list[tuple[str, int, int]], empty: list[int], copied: bool
) -> None:
    columns, model = FreeColumns(), Model()
    if empty:
        columns.begin(2 * FAR, np.array(sorted(empty)), 3)
        model.watermark, model.resting = 2 * FAR, dict.fromkeys(empty, 3)
    operation = 1
    for what, place, size in steps:
        if copied:
            columns = restored(columns)
        operation += size
        available = [*sorted(model.free)[: place + 1], *model.resting, model.watermark, model.watermark + FAR]
        chosen = sorted({available[index % len(available)] for index in range(place, place + size + 1)})
        used = [c for c in range(model.watermark) if c not in model.free and c not in model.resting]
        if what == "take":
            columns.take(np.array(chosen[::-1]))
            model.take(chosen)
        elif what == "release" and used:
            column, until = used[place % len(used)], operation + size - 4
            assert columns.release(column, until, operation) == model.release(column, until, operation)
        elif what == "wake":
            assert set(columns.wake(operation).tolist()) == model.wake(operation)
        elif what == "view":
            viewed(columns, model, operation, size)
        check(columns, model)


def viewed(columns: FreeColumns, model: Model, operation: int, count: int) -> None:
    """A competition takes the lowest ones, gives some back, and changes nothing."""
    before = {name: np.asarray(part).tobytes() for name, part in columns.state().items()}
    view, other = FreeView(columns), Model(model.watermark, set(model.free), dict(model.resting))
    for step in range(count):
        other.wake(operation + step)
        assert view.lowest(operation + step) == other.lowest()
        taken = view.take(operation + step)
        assert taken == other.lowest()
        other.take([taken])
        if step % 3 == 1:
            until = operation + step + (1 if step % 2 else -1)
            view.release(taken, until, operation + step)
            other.release(taken, until, operation + step)
    assert before == {name: np.asarray(part).tobytes() for name, part in columns.state().items()}


def restored(columns: FreeColumns) -> FreeColumns:
    other = FreeColumns()
    other.restore(columns.state())
    return other


def test_a_million_free_columns_are_taken_in_their_order() -> None:
    columns = FreeColumns()
    columns.take(np.arange(1_000_000))
    freed = np.random.default_rng(1).permutation(1_000_000)[:600_000]
    for column in freed[:1000].tolist():
        assert columns.release(column, 5, 5)
    for column in freed[1000:2000].tolist():
        assert not columns.release(column, 5, 6)
    assert set(columns.wake(6).tolist()) == set(freed[:1000].tolist())
    view = FreeView(columns)
    assert [view.take(7) for _ in range(2001)] == [*sorted(freed[:2000].tolist()), 1_000_000]


def test_restored_parts_go_on_in_the_arrays_they_were_given() -> None:
    arrays, columns = ColumnArrays(), FreeColumns()
    arrays.make_room(700)
    arrays.bits[:700] = 7
    columns.take(np.arange(700))
    columns.release(3, 9, 2)
    raw = {name: part.copy() for name, part in arrays.state().items()}
    assert {part.shape[0] for part in raw.values()} == {700}
    other = ColumnArrays()
    other.restore(raw)
    assert all(np.shares_memory(getattr(other, name), part) for name, part in raw.items())
    kinds = columns.kinds[:700].copy()
    again = FreeColumns()
    again.restore(columns.state() | {"kinds": kinds})
    assert np.shares_memory(again.kinds, kinds)
    for each in (arrays, other):
        each.make_room(703)
        each.bits[702] = 5
    assert {n: p.tobytes() for n, p in arrays.state().items()} == {
        n: p.tobytes() for n, p in other.state().items()
    }
