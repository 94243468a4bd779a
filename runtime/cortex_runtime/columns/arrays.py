"""The columns: a structure of arrays, one row a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.encoding import MAX_BITS, PAD
from cortex_runtime.columns.growth import grown

Columns = npt.NDArray[np.int64]
HALF_LIFE = 1024  # operations
# What is left of an activation after so many halvings; 1 more than the last is 1, whatever it was.
HALVES = np.ldexp(np.float32(1), -np.arange(65, dtype=np.int32))


class ColumnArrays:
    """Columns by number.

    states uint8[N], bits uint16[N, 40] padded with PAD, words uint8[N], concepts int32[N] (how many are on
    the column), variant_of int32[N] (-1 none), last_operation int64[N] (of its last win, 0 none), activation
    float32[N] (at its last win: 1 more than what was left then of the one before).
    Rows of columns that were never taken, or are free again, are as they were at first.
    """

    def __init__(self) -> None:
        self.states = np.zeros(0, dtype=np.uint8)
        self.bits = np.zeros((0, MAX_BITS), dtype=np.uint16)
        self.words = np.zeros(0, dtype=np.uint8)
        self.concepts = np.zeros(0, dtype=np.int32)
        self.variant_of = np.zeros(0, dtype=np.int32)
        self.last_operation = np.zeros(0, dtype=np.int64)
        self.activation = np.zeros(0, dtype=np.float32)
        self._end = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included."""
        parts = (
            self.states, self.bits, self.words, self.concepts, self.variant_of, self.last_operation,
            self.activation,
        )  # fmt: skip
        return sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        columns = slice(0, self._end)
        return {
            "states": self.states[columns], "bits": self.bits[columns], "words": self.words[columns],
            "concepts": self.concepts[columns], "variant_of": self.variant_of[columns],
            "last_operation": self.last_operation[columns], "activation": self.activation[columns],
        }  # fmt: skip

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        self.states, self.bits, self.words = state["states"], state["bits"], state["words"]
        self.concepts, self.variant_of = state["concepts"], state["variant_of"]
        self.last_operation, self.activation = state["last_operation"], state["activation"]
        self._end = self.states.size

    def make_room(self, size: int) -> None:
        """Make room for `size` columns."""
        self._end = max(self._end, size)
        if size <= self.states.size:
            return
        self.states = grown(self.states, size)
        self.bits = grown(self.bits, size, fill=PAD)
        self.words = grown(self.words, size)
        self.concepts = grown(self.concepts, size)
        self.variant_of = grown(self.variant_of, size, fill=-1)
        self.last_operation = grown(self.last_operation, size)
        self.activation = grown(self.activation, size)

    def activation_of(self, column: int, operation: int) -> float:
        """Return what is left at an operation of a column's activation, 0 when it has none."""
        if not 0 <= column < self.activation.size:
            return 0.0
        halvings = (operation - self.last_operation.item(column)) // HALF_LIFE
        return math.ldexp(self.activation.item(column), -halvings)

    def clear(self, column: int) -> None:
        """Empty a column's row; its state and last operation stay, for it may be resting."""
        self.bits[column] = PAD
        self.words[column] = 0
        self.variant_of[column] = -1
        self.activation[column] = 0
