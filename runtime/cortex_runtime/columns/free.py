"""Which columns can be taken: the lowest that is empty and not resting."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item", int, tuple[int, int])


class FreeColumns:
    """Empty columns of a cortex. Those at or above `watermark` were never taken."""

    def __init__(self) -> None:
        self.watermark = 0
        self.free: list[int] = []  # negative numbers, ascending: the lowest column is the last
        self.resting: list[tuple[int, int]] = []  # (until this operation, column), ascending
        self._until: dict[int, int] = {}

    def state(self) -> dict[str, npt.NDArray[Any] | int]:
        """Return what `restore` takes."""
        return {
            "watermark": self.watermark,
            "free": np.array(self.free, dtype=np.int64),
            "resting": np.array(self.resting, dtype=np.int64).reshape(-1, 2),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what another one was when it told its state."""
        self.watermark, self.free = state["watermark"], state["free"].tolist()
        self.resting = [(until, column) for until, column in state["resting"].tolist()]
        self._until = {column: until for until, column in self.resting}

    def begin(self, watermark: int, empty: list[int], until: int) -> None:
        """Begin with empty columns below a watermark that all rest until an operation."""
        self.watermark = watermark
        self.resting = [(until, column) for column in empty]
        self._until = dict.fromkeys(empty, until)

    def rests_until(self, column: int) -> int | None:
        """Return the last operation at which an empty column rests, None when it does not."""
        return self._until.get(column)

    def take(self, column: int) -> None:
        """Take an empty column, also one that rests."""
        until = self._until.pop(column, None)
        if until is not None:
            _remove(self.resting, (until, column))
        elif column < self.watermark:
            _remove(self.free, -column)
        for passed in range(self.watermark, column):
            insort(self.free, -passed)
        self.watermark = max(self.watermark, column + 1)

    def release(self, column: int, until: int, operation: int) -> bool:
        """Give a column back at an operation; tell whether it rests until another one first."""
        if operation > until:
            insort(self.free, -column)
            return False
        insort(self.resting, (until, column))
        self._until[column] = until
        return True

    def wake(self, operation: int) -> list[int]:
        """Free the columns that have rested when this operation comes, and return them."""
        count = bisect_left(self.resting, (operation, -1))
        woken = [column for _, column in self.resting[:count]]
        del self.resting[:count]
        for column in woken:
            insort(self.free, -column)
            del self._until[column]
        return woken


def _remove(ordered: list[Item], item: Item) -> None:
    index = bisect_left(ordered, item)
    assert ordered[index] == item
    del ordered[index]


class FreeView:
    """What a competition sees: the free columns, less what it took, and what it gave back."""

    def __init__(self, base: FreeColumns) -> None:
        self._base = base
        self._watermark = base.watermark
        self._taken = 0
        self._woken = 0
        self._free: list[int] = []
        self._resting: list[tuple[int, int]] = []

    def take(self, operation: int) -> int:
        """Take the lowest column that is free when an operation comes."""
        lowest = self.lowest(operation)
        if self._free and self._free[0] == lowest:
            heapq.heappop(self._free)
        elif lowest == self._watermark:
            self._watermark += 1
        else:
            self._taken += 1
        return lowest

    def lowest(self, operation: int) -> int:
        """Return the column that `take` would take."""
        self._wake(operation)
        base = self._base
        known = -base.free[-1 - self._taken] if self._taken < len(base.free) else self._watermark
        return min(known, self._free[0]) if self._free else known

    def release(self, column: int, until: int, operation: int) -> None:
        """Give a column back."""
        if operation > until:
            heapq.heappush(self._free, column)
        else:
            heapq.heappush(self._resting, (until, column))

    def _wake(self, operation: int) -> None:
        resting = self._base.resting
        while self._woken < len(resting) and resting[self._woken][0] < operation:
            heapq.heappush(self._free, resting[self._woken][1])
            self._woken += 1
        while self._resting and self._resting[0][0] < operation:
            heapq.heappush(self._free, heapq.heappop(self._resting)[1])
