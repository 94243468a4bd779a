"""Filters: which concepts hold the properties that a query asks for, their own or inherited ones.

A filter is groups of tags. A concept holds it when it holds one tag of each group: when it has that tag
itself, or has no tag of the group's key and the nearest of its ancestors that has one has that tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.inheritance import children_of, parents_of
from cortex_runtime.columns.model import (
    KEY_SHIFT,
    MAX_ANCESTORS,
    MAX_GROUPS,
    MAX_TAGS,
    InvalidQueryError,
    QueryTooComplexError,
)
from cortex_runtime.columns.rooms import distinct

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Rows = npt.NDArray[np.int64]
Where = tuple[tuple[int, ...], ...]
UNIT = 1024
_NO_TAGS = np.zeros(0, dtype=np.uint64)


class Purse:
    """What a query may cost, in elementary steps, and what it has cost: 1,024 of them are a unit."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._spent = 0

    @property
    def left(self) -> int:
        """Steps that are left."""
        return self._units * UNIT - self._spent

    @property
    def units(self) -> int:
        """Units spent, the last one maybe not wholly."""
        return -(-self._spent // UNIT)

    def spend(self, steps: int) -> None:
        """Spend steps before they are done. Raises QueryTooComplexError when so many are not left."""
        if steps > self.left:
            raise QueryTooComplexError(-(-(self._spent + steps) // UNIT), self._units)
        self._spent += steps


def check_where(where: Where) -> None:
    """Raise InvalidQueryError unless a filter is at most 16 groups of tags, each of one key."""
    if len(where) > MAX_GROUPS:
        raise InvalidQueryError(f"A filter has at most {MAX_GROUPS} groups of tags, not {len(where)}.")
    for group in where:
        if not 1 <= len(group) <= MAX_TAGS:
            raise InvalidQueryError(f"A group of a filter has 1 to {MAX_TAGS} tags, not {len(group)}.")
        for tag in group:
            if not isinstance(tag, int) or not 0 <= tag < 1 << 64:
                raise InvalidQueryError(f"The tag {tag!r} is not a whole number from 0 to 2**64 - 1.")
        if len({tag >> KEY_SHIFT for tag in group}) > 1:
            raise InvalidQueryError(f"The tags {group} of a filter's group are of different keys.")


class Filter:
    """One query's filter on one cortex. What it looks at is paid from the query's purse first."""

    def __init__(self, cortex: Cortex, where: Where, purse: Purse) -> None:
        self._cortex, self._purse = cortex, purse
        properties = cortex.properties
        steps = [sum(properties.steps_to(tag) for tag in group) for group in where]
        order = sorted(range(len(where)), key=lambda place: steps[place])
        self._groups = [np.array(sorted(where[place]), dtype=np.uint64) for place in order]
        self.steps = min(steps)

    def all(self) -> Rows:
        """Return the rows of all concepts that hold it, ascending. Begins with the rarest group."""
        first, *others = self._groups
        self._purse.spend(self.steps)
        found = [distinct(np.concatenate([self._cortex.properties.rows_with(tag) for tag in first.tolist()]))]
        below = found[0]
        for _ in range(MAX_ANCESTORS):
            below = self._inheriting(below, int(first[0]) >> KEY_SHIFT)
            if not below.size:
                break
            found.append(below)
        rows = distinct(np.concatenate(found))
        return rows[self._hold(rows, others)]

    def hold(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell of each of the rows int64[n] whether its concept holds it."""
        return self._hold(rows, self._groups)

    def _hold(self, rows: Rows, groups: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.bool_]:
        held = np.ones(rows.size, dtype=np.bool_)
        for group in groups:
            left = np.flatnonzero(held)
            held[left] = self._holds_one_of(rows[left], group)
        return held

    def _holds_one_of(self, rows: Rows, group: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Tell of each row whether it holds a tag of one group: from each upwards, until the key is met."""
        key = int(group[0]) >> KEY_SHIFT
        held = np.zeros(rows.size, dtype=np.bool_)
        places, at = np.arange(rows.size), rows
        for _ in range(MAX_ANCESTORS + 1):
            has_key, has_tag = self._look(at, key, group)
            held[places[has_tag]] = True
            places, at = places[~has_key], at[~has_key]
            self._purse.spend(self._cortex.relationships.count_leaving(at))
            at = parents_of(self._cortex, at)
            places, at = places[at >= 0], at[at >= 0]
            if not at.size:
                break
        return held

    def _inheriting(self, rows: Rows, key: int) -> Rows:
        """Return the children of rows that have no tag of a key of their own."""
        self._purse.spend(rows.size)
        children = children_of(self._cortex, rows)
        return children[~self._look(children, key, _NO_TAGS)[0]]

    def _look(
        self, rows: Rows, key: int, group: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Tell of each row whether it has tags of the key, and whether one of the group: its own ones."""
        properties = self._cortex.properties
        self._purse.spend(rows.size + properties.count_tags(rows))
        first, there = properties.first_from(rows, key << KEY_SHIFT)
        has_key = there & (first >> np.uint64(KEY_SHIFT) == np.uint64(key))
        has_tag = np.zeros(rows.size, dtype=np.bool_)
        sizes, tags = properties.tags_by_row(rows[has_key])
        owners = np.repeat(np.flatnonzero(has_key), sizes)
        has_tag[owners[np.isin(tags, group)]] = True
        return has_key, has_tag
