"""The table of ids beside a dictionary, and the concepts on columns: many at once as one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_runtime.columns.concepts import NOWHERE, Concepts
from cortex_runtime.columns.identifiers import NO_ROW, Identifiers
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.kernels.numpy_identifiers import homes
from unit.columns.worlds import identifier


def array_of(ids: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), 16)


class Model:
    """What a table of ids has to do, by a dictionary and a list."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.unused: list[int] = []
        self.end = 0

    def insert(self, each: bytes) -> int:
        if each not in self.rows:
            if not self.unused:
                self.unused, self.end = [self.end], self.end + 1
            self.rows[each] = self.unused.pop()
        return self.rows[each]

    def discard(self, each: bytes) -> None:
        self.unused.append(self.rows.pop(each))


def same_home(table: Identifiers, count: int) -> list[bytes]:
    """Ids whose search begins at the last three slots, so that they meet, and go on at the first ones."""
    ids = array_of([identifier(number) for number in range(200_000)])
    home = homes(table, ids.view(np.uint64))
    return [ids[place].tobytes() for place in np.flatnonzero(home >= table.slots.size - 3)[:count]]


MEETING = same_home(Identifiers(), 40)
PATTERNS: dict[str, Callable[[int], bytes]] = {
    "big-endian": lambda number: number.to_bytes(16, "big"),
    "little-endian": lambda number: number.to_bytes(16, "little"),
    "steps of 2**32": lambda number: (number << 32).to_bytes(16, "big"),
    "the top bytes of both halves": lambda number: bytes([0] * 7 + [number & 255] + [0] * 7 + [number >> 8]),
    "both halves alike": lambda number: 2 * number.to_bytes(8, "little"),
    "halves that add up": lambda number: number.to_bytes(8, "big") + (99999 - number).to_bytes(8, "big"),
    "text": lambda number: f"{number:016}".encode(),
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["insert", "insert many", "insert named", "discard"]),
            st.lists(st.sampled_from(MEETING), min_size=1, max_size=60),
        ),
        max_size=25,
    )
)
@settings(max_examples=100, deadline=None)
def test_ids_that_meet_are_found_whatever_came_and_went(
    kernels: Kernels, steps: list[tuple[str, list[bytes]]]
) -> None:
    table, model = Identifiers(kernels), Model()
    for what, ids in steps:
        if what == "insert":
            assert [table.insert(each) for each in ids] == [model.insert(each) for each in ids]
        elif what == "insert named":
            names = table.name(array_of(ids))
            first = [-2 - ids.index(each) for each in ids]
            assert names.tolist() == [model.rows.get(*each) for each in zip(ids, first, strict=True)]
            rows = table.insert_named(array_of(ids), names)
            assert rows.tolist() == [model.insert(each) for each in ids]
        elif what == "insert many":
            new = list(dict.fromkeys(each for each in ids if each not in model.rows))
            assert table.insert_many(array_of(new)).tolist() == [model.insert(each) for each in new]
        else:
            for each in {each: 0 for each in ids if each in model.rows}:
                table.discard(model.rows[each])
                model.discard(each)
        expected = [model.rows.get(each, NO_ROW) for each in MEETING]
        assert [table.row_of(each) for each in MEETING] == expected
        assert table.rows_of(array_of(2 * MEETING)).tolist() == 2 * expected
        assert len(table) == len(model.rows)
        assert table.unused_rows().tolist() == model.unused
    known = {each: table.ids[row].tobytes() for each, row in model.rows.items()}
    assert all(each == kept for each, kept in known.items())
    assert not table.ids[model.unused].any()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_any_pattern_of_ids_spreads(pattern: str, kernels: Kernels) -> None:
    table, ids = Identifiers(kernels), array_of([PATTERNS[pattern](number) for number in range(50_000)])
    rows = table.insert_many(ids)
    assert rows.tolist() == list(range(50_000))
    assert (table.rows_of(ids) == rows).all()
    places = np.flatnonzero(table.slots != NO_ROW)
    home = homes(table, table.words[table.slots[places]])
    away = (places - home) & (table.slots.size - 1)
    assert away.mean() < 0.6  # at a load of .38; what hashes at random would have is .31
    assert away.max() < 60


def test_growing_by_portions_and_shrinking_gives_a_table_that_finds_what_is_left(kernels: Kernels) -> None:
    table, ids = Identifiers(kernels), array_of([identifier(number) for number in range(20_000)])
    for start in range(0, 20_000, 700):
        table.insert_many(ids[start : start + 700])
    for row in range(0, 20_000, 3):
        table.discard(row)
    left = np.arange(20_000) % 3 != 0
    assert (table.rows_of(ids) == np.where(left, np.arange(20_000), NO_ROW)).all()
    again = table.insert_many(ids[~left])
    assert again.tolist() == list(range(0, 20_000, 3))[::-1]
    assert (table.rows_of(ids)[~left] == again).all()


def test_a_restored_table_goes_on_as_the_other(kernels: Kernels) -> None:
    table, other = Identifiers(kernels), Identifiers(kernels)
    ids = array_of([identifier(number) for number in range(900)])
    table.insert_many(ids[:600])
    for row in (5, 3, 400):
        table.discard(row)
    other.restore({name: part.copy() for name, part in table.state().items()})
    for each in (table, other):
        assert each.insert_many(ids[600:610]).tolist()[:4] == [400, 3, 5, 600]
        each.discard(7)
    assert (table.rows_of(ids) == other.rows_of(ids)).all()
    assert {n: p.tobytes() for n, p in table.state().items()} == {
        n: p.tobytes() for n, p in other.state().items()
    }


def chains_of(concepts: Concepts) -> list[bytes]:
    columns = [concepts.on(column) for column in range(12)]
    parts = (concepts.columns, concepts.operations, concepts.before, concepts.after, concepts.first)
    return [repr((columns, concepts.placed)).encode(), *(part.tobytes() for part in parts)]


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=6),
    st.lists(st.integers(0, 60), max_size=10),
)
@settings(max_examples=100, deadline=None)
def test_placing_many_is_placing_one_by_one(portions: list[list[int]], leaving: list[int]) -> None:
    many, single = Concepts(), Concepts()
    expected: dict[int, list[int]] = {}
    for columns in portions:
        first = len(single)
        ids = array_of([identifier(first + number) for number in range(len(columns))])
        operations = np.arange(len(columns)) + 100 * first
        rows = many.insert_many(ids)
        many.place_many(rows, np.array(columns, dtype=np.int64), operations)
        for place, column in enumerate(columns):
            row = single.insert_many(ids[place : place + 1])
            single.place_many(row, np.array([column]), operations[place : place + 1])
            expected.setdefault(column, []).insert(0, int(row[0]))
        for gone in sorted({row for row in leaving if row < len(many) and many.columns[row] != NOWHERE}):
            expected[int(many.columns[gone])].remove(gone)
            many.displace(gone)
            single.displace(gone)
        assert {column: many.on(column) for column in expected} == expected
        assert chains_of(many) == chains_of(single)


def test_what_waits_is_known_and_on_no_column() -> None:
    concepts = Concepts()
    rows = [concepts.insert(identifier(number)) for number in range(5)]
    concepts.place_many(np.array([rows[1]]), np.array([4]), np.array([1]))
    concepts.discard(rows[3])
    assert concepts.waiting_rows().tolist() == [0, 2, 4]
    assert concepts.known_rows().tolist() == [0, 1, 2, 4]
    assert concepts.column_of(identifier(1)) == 4
    assert concepts.column_of(identifier(2)) is concepts.column_of(identifier(3)) is None
