"""Competition by its definition, one column after the other: what the engine has to come to as well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cortex_runtime.columns import CortexSettings, Delete, Operation, Put
from cortex_runtime.columns.weights import weights_of

MOST = 64


@dataclass
class _Column:
    bits: tuple[int, ...]
    words: int
    won: int
    concepts: set[bytes] = field(default_factory=set)


class Rivals:
    """Puts and deletes of concepts. Every step looks at every column."""

    def __init__(self, settings: CortexSettings) -> None:
        self._settings = settings
        self._operation = 0
        self._columns: dict[int, _Column] = {}
        self._resting: dict[int, int] = {}
        self._at: dict[bytes, int] = {}

    def add(self, operation: Operation) -> tuple[str, int | None, float, tuple[int, ...], int]:
        """Return what became of an operation: kind, column, overlap, winners and what it is a variant of."""
        self._operation += 1
        if isinstance(operation, Delete):
            column = self._at.get(operation.id)
            if column is None:
                return "absent", None, 0.0, (), -1
            self._leave(operation.id)
            return "deleted", column, 0.0, (), -1
        assert isinstance(operation, Put)
        bits = tuple(operation.bits.tolist())
        if operation.id in self._at:
            column = self._at[operation.id]
            there = self._columns[column]
            alike = self._similarity(bits, there.bits) >= self._settings.join_threshold
            if there.bits == bits or (len(there.concepts) > 1 and alike):
                return "updated", column, 1.0, (), -1
            self._leave(operation.id)
        return self._compete(operation.id, bits, operation.words)

    def _compete(
        self, identifier: bytes, bits: tuple[int, ...], words: int
    ) -> tuple[str, int | None, float, tuple[int, ...], int]:
        settings, own = self._settings, self._weight(bits)
        share = min(settings.radius or 1.0, settings.join_threshold)
        enough = max(1, math.ceil(share * own))
        shared = {number: self._shared(bits, column.bits) for number, column in self._columns.items()}
        candidates = sorted(
            (number for number, weight in shared.items() if weight >= enough),
            key=lambda number: (-shared[number], self._columns[number].words, number),
        )[:MOST]
        winners: list[int] = []
        for each in candidates:
            suppressed = settings.radius and any(
                self._similarity(self._columns[winner].bits, self._columns[each].bits) >= settings.radius
                for winner in winners
            )
            if not suppressed and len(winners) < settings.winners:
                winners.append(each)
        overlap = self._similarity(bits, self._columns[winners[0]].bits) if winners else 0.0
        if overlap >= settings.join_threshold:
            kind, column, variant = "joined", winners[0], -1
        else:
            kind, column = "allocated", self._lowest_free()
            variant = winners[0] if settings.radius and overlap >= settings.radius else -1
            self._columns[column] = _Column(bits, words, self._operation)
            self._resting.pop(column, None)
        self._columns[column].won = self._operation
        self._columns[column].concepts.add(identifier)
        self._at[identifier] = column
        return kind, column, overlap, tuple(winners), variant

    def _leave(self, identifier: bytes) -> None:
        number = self._at.pop(identifier)
        column = self._columns[number]
        column.concepts.remove(identifier)
        if not column.concepts:
            del self._columns[number]
            self._resting[number] = column.won + self._settings.refractory

    def _lowest_free(self) -> int:
        number = 0
        while number in self._columns or self._resting.get(number, -1) >= self._operation:
            number += 1
        return number

    def _weight(self, bits: tuple[int, ...]) -> int:
        counts = [sum(bit in column.bits for column in self._columns.values()) for bit in bits]
        return int(weights_of(np.array(bits, dtype=np.int64), np.array(counts), len(self._columns)).sum())

    def _shared(self, one: tuple[int, ...], other: tuple[int, ...]) -> int:
        both = tuple(bit for bit in one if bit in other)
        return self._weight(both) if both else 0

    def _similarity(self, one: tuple[int, ...], other: tuple[int, ...]) -> float:
        shared = self._shared(one, other)
        return shared / max(1, self._weight(one) + self._weight(other) - shared)
