"""Checking that decisions follow on a cortex's state, before any of them is applied."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.model import ID_BYTES

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


class NotFollowingError(ValueError):
    """The decisions were made on another state than the one they are applied to."""


class Group(IntEnum):
    """The groups of decisions, in the order in which what one operation decided is done."""

    PLACING = 0
    DESCRIBING = 1
    RELATING = 2


def in_order(decisions: Decisions) -> Iterator[tuple[Group, int]]:
    """Yield all decisions in the order in which they are done: the group of each and its place there."""
    groups = decisions.steps, decisions.trait_steps, decisions.edge_steps
    sizes = [steps.size for steps in groups]
    order = np.argsort(np.concatenate(groups), kind="stable")
    starts = np.cumsum([0, *sizes[:-1]])
    numbers = np.repeat(np.arange(len(groups)), sizes)[order]
    yield from zip(map(Group, numbers.tolist()), (order - starts[numbers]).tolist(), strict=True)


class Check:
    """Follows the placings without changing anything."""

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        self._placed: dict[bytes, int | None] = {}
        self._concepts: dict[int, int] = {}
        self._wins: dict[int, int] = {}
        self._resting: dict[int, int] = {}
        self._forced = cortex.restored_at + cortex.settings.refractory

    def all(self, decisions: Decisions, ids: list[bytes]) -> None:
        """Raise NotFollowingError unless the placings and what they leave room for are possible."""
        reach = self._cortex.free.watermark + self._cortex.settings.refractory + decisions.kinds.size
        if decisions.columns.max(initial=0) > reach:
            raise NotFollowingError(f"column {decisions.columns.max()} is out of reach")
        placings = list(
            zip(decisions.kinds.tolist(), decisions.columns.tolist(), decisions.steps.tolist(), strict=True)
        )
        described, sources = split(decisions.trait_ids), split(decisions.sources)
        for group, index in in_order(decisions):
            if group == Group.PLACING:
                kind, column, step = placings[index]
                if not self._place(ids[index], kind, column, decisions.before + step):
                    raise NotFollowingError(f"{Kind(kind).name} of column {column} is not possible")
            elif self._column_of(described[index] if group == Group.DESCRIBING else sources[index]) is None:
                raise NotFollowingError("a concept that gets tags or a relationship is not there")

    def _column_of(self, identifier: bytes) -> int | None:
        placed = self._placed
        return placed[identifier] if identifier in placed else self._cortex.column_of(identifier)

    def _place(self, identifier: bytes, kind: int, column: int, operation: int) -> bool:
        placed, cortex = self._placed, self._cortex
        at = self._column_of(identifier)
        count = self._concepts.get(column)
        if count is None:
            count = cortex.concepts_on(column)
        if kind in (Kind.TAKE, Kind.JOIN):
            placed[identifier] = column
            self._concepts[column] = count + 1
            self._wins[column] = operation
            empty = count == 0 and not self._rests(column, operation)
            return at is None and (empty if kind == Kind.TAKE else count > 0)
        placed[identifier] = None
        self._concepts[column] = count - 1
        if count == 1:
            won = self._wins.get(column)
            refractory = cortex.settings.refractory
            self._resting[column] = cortex.rests_until(column) if won is None else won + refractory
        return at == column

    def _rests(self, column: int, operation: int) -> bool:
        until = self._resting.get(column) or self._cortex.free.rests_until(column)
        return until is not None and until >= operation and until > self._forced


def split(ids: npt.NDArray[np.uint8]) -> list[bytes]:
    """Return ids uint8[n, 16] as bytes."""
    raw = ids.tobytes()
    return [raw[start : start + ID_BYTES] for start in range(0, len(raw), ID_BYTES)]
