"""Checking that decisions follow on a cortex's state, before any of them is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns import states
from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.decisions import Decisions, Kind
from cortex_runtime.columns.relationships import MOST_TYPES

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Ints = npt.NDArray[np.int64]
_JOIN = int(Kind.JOIN)


class NotFollowingError(ValueError):
    """The decisions were made on another state than the one they are applied to."""


@dataclass(frozen=True, slots=True, eq=False)
class Placings:
    """The placings of a batch, or some that follow on each other, as the kernels take them.

    kinds uint8[n], columns int64[n], operations int64[n], words uint8[n], variant_of int32[n], sizes
    uint8[n], bits uint16[sum of sizes]: as in Decisions. concepts int64[n]: their rows; before they have
    any, their names (see Identifiers.name). ends int64[n]: where in `bits` those of each end.
    """

    kinds: npt.NDArray[np.uint8]
    columns: Ints
    operations: Ints
    concepts: Ints
    words: npt.NDArray[np.uint8]
    variant_of: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint16]
    ends: Ints

    @classmethod
    def of(cls, decisions: Decisions, names: Ints) -> Placings:
        """Return the placings of decisions. All is copied: bytes that were read may stand at any address."""
        return cls(
            np.array(decisions.kinds, dtype=np.uint8),
            decisions.columns.astype(np.int64),
            decisions.before + decisions.steps.astype(np.int64),
            names,
            np.array(decisions.words, dtype=np.uint8),
            decisions.variant_of.astype(np.int32),
            np.array(decisions.sizes, dtype=np.uint8),
            decisions.bits.astype(np.uint16),
            np.cumsum(decisions.sizes, dtype=np.int64),
        )

    def part(self, start: int, end: int) -> Placings:
        """Return those from a place to another one."""
        if end - start == self.kinds.size:
            return self
        each, skipped = slice(start, end), int(self.ends[start - 1]) if start else 0
        return Placings(
            self.kinds[each], self.columns[each], self.operations[each], self.concepts[each],
            self.words[each], self.variant_of[each], self.sizes[each],
            self.bits[skipped : int(self.ends[end - 1]) if end > start else skipped],
            self.ends[each] - skipped,
        )  # fmt: skip

    def arriving_in(self, rows: Ints) -> Placings:
        """Return the TAKEs and JOINs among these with the concepts' rows, given for all of these."""
        arriving = self.kinds <= _JOIN
        if arriving.all():
            return Placings(
                self.kinds, self.columns, self.operations, rows, self.words, self.variant_of, self.sizes,
                self.bits, self.ends,
            )  # fmt: skip
        # Others have no bits.
        return Placings(
            self.kinds[arriving], self.columns[arriving], self.operations[arriving], rows[arriving],
            self.words[arriving], self.variant_of[arriving], self.sizes[arriving], self.bits,
            self.ends[arriving],
        )  # fmt: skip


def check_reach(cortex: Cortex, decisions: Decisions) -> None:
    """Raise NotFollowingError unless decisions are on the cortex's operation, of columns within its reach."""
    if decisions.before != cortex.operations:
        raise NotFollowingError(
            f"decisions on operation {decisions.before}, the cortex is at {cortex.operations}"
        )
    reach = cortex.free.watermark + cortex.settings.refractory + decisions.kinds.size
    if decisions.columns.size and not 0 <= decisions.columns.min() <= decisions.columns.max() <= reach:
        columns = f"{decisions.columns.min()} to {decisions.columns.max()}"
        raise NotFollowingError(f"of columns {columns} one is out of reach")
    known = cortex.relationships.types
    if len(known) + len(decisions.types) > MOST_TYPES and len({*known, *decisions.types}) > MOST_TYPES:
        raise NotFollowingError(f"more than {MOST_TYPES} types of relationships cannot be numbered")


def check(cortex: Cortex, decisions: Decisions) -> Placings:
    """Return the placings, with names, of decisions that follow on a cortex's state and are within its reach.

    Raises NotFollowingError when they do not, and IllegalTransitionError when columns are in states in which
    they cannot be: nothing has changed then.
    """
    count = decisions.kinds.size
    asked = decisions.trait_steps.size + decisions.edge_steps.size
    ids = np.concatenate((decisions.ids, decisions.trait_ids, decisions.sources)) if asked else decisions.ids
    names = cortex.concepts.name(ids)
    placings = Placings.of(decisions, names[:count])
    if count:
        _check_placings(cortex, placings)
    if asked:
        steps = np.concatenate((decisions.trait_steps, decisions.edge_steps))
        if not _are_there(cortex, placings, names[count:], decisions.before + steps.astype(np.int64)):
            raise NotFollowingError("a concept that gets tags or a relationship is not there")
    return placings


def _check_placings(cortex: Cortex, placings: Placings) -> None:
    place = cortex.kernels.applying.first_impossible(cortex, placings)
    if place >= 0:
        kind, column = Kind(placings.kinds[place]), placings.columns[place]
        raise NotFollowingError(f"{kind.name} of column {column} is not possible")
    arrays, columns = cortex.arrays, placings.columns
    if int(columns.max()) >= arrays.states.size:
        columns = columns[columns < arrays.states.size]
    states.check_held(arrays.states, arrays.concepts, columns)


def _are_there(cortex: Cortex, placings: Placings, names: Ints, operations: Ints) -> bool:
    """Tell whether concepts are on columns at operations, once what these placed has been done."""
    there = homes_of(cortex, names) != NOWHERE
    count = placings.kinds.size
    if count:
        _, numbers = np.unique(np.concatenate((placings.concepts, names)), return_inverse=True)
        span = int(max(placings.operations[-1], operations.max())) - cortex.operations + 1
        keys = numbers * span + (np.concatenate((placings.operations, operations)) - cortex.operations)
        order = np.argsort(keys[:count], kind="stable")
        latest = order[np.searchsorted(keys[:count], keys[count:], side="right", sorter=order) - 1]
        placed = (numbers[latest] == numbers[count:]) & (keys[latest] <= keys[count:])
        there[placed] = placings.kinds[latest[placed]] <= _JOIN
    return bool(there.all())


def homes_of(cortex: Cortex, names: Ints) -> Ints:
    """Return the columns int64[n] on which concepts with names are before a batch, NOWHERE when on none."""
    homes = np.full(names.size, NOWHERE, dtype=np.int64)
    known = names >= 0
    homes[known] = cortex.concepts.columns[names[known]]
    return homes
