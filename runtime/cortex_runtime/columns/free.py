"""Which columns can be taken: the lowest that is empty and not resting."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown

Columns = npt.NDArray[np.int64]
TAKEN, FREE, RESTING, RESTING_ALL = 0, 1, 2, 3
_BLOCK = 4096
_NOBODY = np.zeros(0, dtype=np.int64)


class FreeColumns:
    """Empty columns of a cortex. Those at or above `watermark` were never taken.

    kinds uint8[N]: TAKEN; FREE; RESTING, until an operation of its own; or RESTING_ALL, until `until_all`,
    as do all columns that were empty when the cortex was restored. `_counts` int32: how many are FREE in
    each block of 4,096, so that the lowest is found
    without looking at all. resting_all: how many are RESTING_ALL.
    """

    def __init__(self) -> None:
        self.watermark = 0
        self.until_all = 0
        self.kinds = np.zeros(0, dtype=np.uint8)
        self.resting: list[tuple[int, int]] = []  # (until this operation, column), ascending
        self._until: dict[int, int] = {}
        self.resting_all = 0
        self._counts = np.zeros(0, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the columns that rest, a few, are not counted."""
        return self.kinds.nbytes + self._counts.nbytes

    def state(self) -> dict[str, npt.NDArray[Any] | int]:
        """Return what `restore` takes. resting int64[n, 2]: see above."""
        resting = np.array(self.resting, dtype=np.int64).reshape(-1, 2)
        return {"kinds": self.kinds[: self.watermark], "resting": resting, "until_all": self.until_all}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.kinds, self.until_all = state["kinds"], int(state["until_all"])
        self.watermark = self.kinds.size
        self.resting = [(until, column) for until, column in state["resting"].tolist()]
        self._until = {column: until for until, column in self.resting}
        self.resting_all = int(np.count_nonzero(self.kinds == RESTING_ALL))
        starts = np.arange(0, self.watermark, _BLOCK)
        self._counts = np.zeros(0, dtype=np.int32)
        if starts.size:
            self._counts = np.add.reduceat(self.kinds == FREE, starts, dtype=np.int32)

    def begin(self, watermark: int, empty: Columns, until: int) -> None:
        """Begin with empty columns int64[n] below a watermark that all rest until an operation."""
        kinds = np.zeros(watermark, dtype=np.uint8)
        kinds[empty] = RESTING_ALL
        self.restore({"kinds": kinds, "resting": np.zeros((0, 2), dtype=np.int64), "until_all": until})

    def rests_until(self, column: int) -> int | None:
        """Return the last operation at which an empty column rests, None when it does not."""
        if column >= self.watermark or self.kinds[column] < RESTING:
            return None
        return self._until.get(column, self.until_all)

    def free_from(self, column: int) -> list[int]:
        """Return the free columns, ascending, of the first block in which there are any from a column on."""
        block = column // _BLOCK
        while block < self._counts.size:
            ahead = self._counts[block:] > 0
            block += int(ahead.argmax())
            if not self._counts[block]:
                break
            start = max(column, block * _BLOCK)
            found = np.flatnonzero(self.kinds[start : (block + 1) * _BLOCK] == FREE)
            if found.size:
                return (found + start).tolist()
            block += 1
        return []

    def rested_all(self) -> Columns:
        """Return the columns int64[n], ascending, that rest until `until_all`."""
        return np.flatnonzero(self.kinds == RESTING_ALL) if self.resting_all else _NOBODY

    def take(self, columns: Columns) -> Columns:
        """Take empty columns int64[n], each once; return those of them that rested."""
        end = max(self.watermark, int(columns.max(initial=-1)) + 1)
        passed = end - self.watermark
        if passed:
            self._make_room(end)
            if passed == columns.size and columns.min() >= self.watermark:
                self.watermark = end
                return columns[:0]
            self._set(np.arange(self.watermark, end), FREE)
            self.watermark = end
        kinds = self.kinds[columns]
        for column in columns[kinds == RESTING].tolist():
            self._forget(column)
        self.resting_all -= int(np.count_nonzero(kinds == RESTING_ALL))
        self._set(columns, TAKEN)
        return columns[kinds >= RESTING]

    def release(self, column: int, until: int, operation: int) -> bool:
        """Give a column back at an operation; tell whether it rests until another one first."""
        if operation > until:
            self._set(np.array([column]), FREE)
            return False
        insort(self.resting, (until, column))
        self._until[column] = until
        self.kinds[column] = RESTING
        return True

    def wake(self, operation: int) -> Columns:
        """Free the columns that have rested when this operation comes, and return them."""
        count = bisect_left(self.resting, (operation, -1))
        if not count and not self.resting_all:
            return _NOBODY
        woken = np.array([column for _, column in self.resting[:count]], dtype=np.int64)
        del self.resting[:count]
        for column in woken.tolist():
            del self._until[column]
        if self.resting_all and operation > self.until_all:
            woken = np.concatenate((self.rested_all(), woken))
            self.resting_all = 0
        self._set(woken, FREE)
        return woken

    def _forget(self, column: int) -> None:
        place = bisect_left(self.resting, (self._until.pop(column), column))
        del self.resting[place]

    def _set(self, columns: Columns, kind: int) -> None:
        if not columns.size:
            return
        blocks = columns // _BLOCK
        before = self.kinds[columns] == FREE
        if kind == FREE:
            np.add.at(self._counts, blocks[~before], 1)
        elif before.any():
            np.subtract.at(self._counts, blocks[before], 1)
        self.kinds[columns] = kind

    def _make_room(self, size: int) -> None:
        self.kinds = grown(self.kinds, size)
        self._counts = grown(self._counts, -(-size // _BLOCK))


class FreeView:
    """What a competition sees: the free columns, less what it took, and what it gave back."""

    def __init__(self, base: FreeColumns) -> None:
        self._base = base
        self._watermark = base.watermark
        self._ahead = base.free_from(0)[::-1]  # columns of the base that come next, the lowest is the last
        self._woken = 0
        self._rested: Columns | None = None  # those of the base that rested all together
        self._rested_taken = 0
        self._free: list[int] = []
        self._resting: list[tuple[int, int]] = []

    def take(self, operation: int) -> int:
        """Take the lowest column that is free when an operation comes."""
        lowest = self.lowest(operation)
        if self._free and self._free[0] == lowest:
            heapq.heappop(self._free)
        elif self._ahead and self._ahead[-1] == lowest:
            self._ahead.pop()
            self._ahead = self._ahead or self._base.free_from(lowest + 1)[::-1]
        elif lowest == self._watermark:
            self._watermark += 1
        else:
            self._rested_taken += 1
        return lowest

    def lowest(self, operation: int) -> int:
        """Return the column that `take` would take."""
        self._wake(operation)
        lowest = self._ahead[-1] if self._ahead else self._watermark
        if self._rested is not None and self._rested_taken < self._rested.size:
            lowest = min(lowest, self._rested.item(self._rested_taken))
        return min(lowest, self._free[0]) if self._free else lowest

    def ahead(self, operation: int, count: int) -> tuple[list[int], int]:
        """Return the columns, `count` of them, that would be taken one after the other from an operation on,
        and by how many operations at most: then another one wakes.
        """
        self._wake(operation)
        base, known = self._base, self._ahead[::-1]
        while known and len(known) < count and (more := base.free_from(known[-1] + 1)):
            known += more
        rested = [] if self._rested is None else self._rested[self._rested_taken :][:count].tolist()
        known = sorted([*known, *rested, *self._free])[:count]
        untouched = range(self._watermark, self._watermark + count - len(known))
        waking = [until for until, _ in base.resting[self._woken : self._woken + 1] + self._resting[:1]]
        if self._rested is None and base.resting_all:
            waking.append(base.until_all)
        return [*known, *untouched], min(count, min(waking, default=operation + count) - operation + 1)

    def release(self, column: int, until: int, operation: int) -> None:
        """Give a column back."""
        if operation > until:
            heapq.heappush(self._free, column)
        else:
            heapq.heappush(self._resting, (until, column))

    def _wake(self, operation: int) -> None:
        base = self._base
        while self._woken < len(base.resting) and base.resting[self._woken][0] < operation:
            heapq.heappush(self._free, base.resting[self._woken][1])
            self._woken += 1
        if self._rested is None and operation > base.until_all:
            self._rested = base.rested_all()
        while self._resting and self._resting[0][0] < operation:
            heapq.heappush(self._free, heapq.heappop(self._resting)[1])
