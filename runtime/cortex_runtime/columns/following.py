"""Checking that decisions follow on a cortex's state, before any of them is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.model import ID_BYTES

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


class NotFollowingError(ValueError):
    """The decisions were made on another state than the one they are applied to."""


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
        """Raise NotFollowingError unless all placings, and the sources of all relatings, are possible."""
        reach = self._cortex.free.watermark + self._cortex.settings.refractory + decisions.kinds.size
        if decisions.columns.max(initial=0) > reach:
            raise NotFollowingError(f"column {decisions.columns.max()} is out of reach")
        placings = zip(
            ids, decisions.kinds.tolist(), decisions.columns.tolist(), decisions.steps.tolist(), strict=True
        )
        for identifier, kind, column, step in placings:
            if not self._place(identifier, kind, column, decisions.before + step):
                raise NotFollowingError(f"{Kind(kind).name} of column {column} is not possible")
        for source in set(split(decisions.sources)):
            if source not in self._placed and self._cortex.column_of(source) is None:
                raise NotFollowingError("a relationship's source is not there")

    def _place(self, identifier: bytes, kind: int, column: int, operation: int) -> bool:
        placed, cortex = self._placed, self._cortex
        at = placed[identifier] if identifier in placed else cortex.column_of(identifier)
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
