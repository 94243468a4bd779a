from __future__ import annotations

import random

import numpy as np
import pytest

from cortex_runtime.columns import postings as module
from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.postings import Postings, bitmap_of, columns_in

# Bits that come up as unequally as words do; some of them in most columns.
CHOICES = [min(int(random.Random(number).paretovariate(0.6)), 65_000) for number in range(5000)]


class Model:
    """Postings beside a dictionary."""

    def __init__(self, kernels: Kernels) -> None:
        self.postings = Postings(kernels)
        self.rows: dict[int, np.ndarray] = {}

    def add(self, columns: list[int], chance: random.Random) -> None:
        rows = np.full((len(columns), MAX_BITS), PAD, dtype=np.uint16)
        for row in rows:
            bits = sorted({chance.choice(CHOICES) for _ in range(chance.randint(1, MAX_BITS))})
            row[: len(bits)] = bits
        self.postings.add(np.array(columns, dtype=np.int64), rows)
        self.rows |= dict(zip(columns, rows, strict=True))

    def remove(self, column: int) -> None:
        row = self.rows.pop(column)
        self.postings.remove(column, row[row != PAD])

    def lists(self) -> dict[int, list[int]]:
        lists: dict[int, list[int]] = {}
        for column in sorted(self.rows):
            for bit in self.rows[column][self.rows[column] != PAD].tolist():
                lists.setdefault(bit, []).append(column)
        return lists

    def check(self) -> None:
        expected, postings = self.lists(), self.postings
        assert postings.columns == len(self.rows)
        assert {bit: count for bit, count in enumerate(postings.counts.tolist()) if count} == {
            bit: len(columns) for bit, columns in expected.items()
        }
        assert {bit: sorted(postings.list_of(bit).tolist()) for bit in expected} == expected


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits get bitmaps and lists rooms as they do in cortices that are a hundred times as large."""
    monkeypatch.setattr(module, "SMALLEST_BITMAP", 16)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("batch", [1, 60])
def test_postings_are_what_a_dictionary_would_hold(kernels: Kernels, batch: int) -> None:
    chance, model = random.Random(batch), Model(kernels)
    seen = set()
    for turn in range(60):
        free = [column for column in range(700) if column not in model.rows]
        model.add(sorted(chance.sample(free, min(batch, len(free)))), chance)
        for column in chance.sample(sorted(model.rows), len(model.rows) // (3 if turn % 10 == 9 else 20)):
            model.remove(column)
        if turn % 5 == 4:
            seen.add(model.postings.backlog() > 0)
            while model.postings.tidy():
                pass
            assert model.postings.backlog() == 0
        model.check()
    assert True in seen or batch == 1


@pytest.mark.usefixtures("small")
def test_a_bit_that_becomes_common_gets_a_bitmap_and_loses_it_again(kernels: Kernels) -> None:
    postings = Postings(kernels)
    rows = np.full((400, MAX_BITS), PAD, dtype=np.uint16)
    rows[:, 0] = 7
    postings.add(np.arange(400), rows)
    while postings.tidy():
        pass
    assert postings.slots[7] >= 0
    assert postings.list_of(7).tolist() == list(range(400))
    for column in range(395):
        postings.remove(column, rows[column, :1])
    assert postings.backlog() == 1
    assert postings.tidy()
    assert not postings.tidy()
    assert postings.slots[7] < 0
    assert sorted(postings.list_of(7).tolist()) == list(range(395, 400))


@pytest.mark.usefixtures("small")
def test_what_comes_and_goes_does_not_grow_the_index(kernels: Kernels) -> None:
    chance, model = random.Random(3), Model(kernels)
    model.add(list(range(300)), chance)
    sizes = []
    for _ in range(25):
        gone = chance.sample(sorted(model.rows), 150)
        for column in gone:
            model.remove(column)
        model.add(sorted(gone), chance)
        while model.postings.tidy():
            pass
        sizes.append(model.postings.nbytes)
    assert max(sizes[15:]) <= 1.1 * max(sizes[:5])


@pytest.mark.usefixtures("small")
def test_postings_go_on_from_a_state(kernels: Kernels) -> None:
    chance, model = random.Random(5), Model(kernels)
    model.add(list(range(200)), chance)
    again = Postings(kernels)
    again.restore({name: np.copy(part) for name, part in model.postings.state().items()})
    before, model.postings = model.postings, again
    model.check()
    model.add(list(range(200, 300)), chance)
    model.remove(17)
    model.check()
    assert before.columns == 200


def test_a_bitmap_holds_what_was_put_into_it() -> None:
    columns = [0, 1, 63, 64, 127, 320, 447]
    bitmap = bitmap_of(np.array(columns), 7)
    assert columns_in(bitmap).tolist() == columns
    assert bitmap[1] == 1 | 1 << 63
