"""Where edges are: compressed sparse rows for most of them, and chains for those that came since.

Either holds an edge at a place, for good: it is changed, or removed by weight 0, in that place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.kernels.interfaces import RelationshipsKernels

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Types = npt.NDArray[np.uint16]
Weights = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
REMOVED = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """A list of edges: sources, targets and types int64[n], weights float32[n]."""

    sources: Rows
    targets: Rows
    types: Rows
    weights: Weights


class Store(Protocol):
    """Holds edges at places: targets int32, types uint16 and weights float32 by place."""

    targets: Numbers
    types: Types
    weights: Weights

    def find(self, sources: Rows, targets: Rows, types: Rows) -> Rows:
        """Return the place of each edge int64[n], -1 where it is not here; removed ones may be found."""

    def leaving(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return the index in `rows`, and the place, of each edge from rows, removed ones too."""

    def arriving(self, rows: Rows) -> Rows:
        """Return the places of the edges to rows, removed ones too."""

    def sources_of(self, places: Rows) -> Rows:
        """Return the sources of the edges at places."""

    def put(self, places: Rows, weights: Weights) -> None:
        """Give edges these weights."""


class _Copied:
    """What a merge in progress has copied an edge to must be changed with it.

    copies int32[places]: where it was copied to, plus 1; 0 not yet. Empty without a merge.
    """

    weights: Weights

    def __init__(self) -> None:
        self.copies = np.zeros(0, dtype=np.int32)
        self._copied_weights = np.zeros(0, dtype=np.float32)

    def copy_to(self, weights: Weights) -> Numbers:
        """Begin to be copied to where `weights` will be; return `copies`, to be filled."""
        self.copies = np.zeros(self.weights.size, dtype=np.int32)
        self._copied_weights = weights
        return self.copies

    def put(self, places: Rows, weights: Weights) -> None:
        """Give edges these weights, here and where they were copied to."""
        self.weights[places] = weights
        if self.copies.size:
            copies = self.copies[places]
            copied = copies > 0
            self._copied_weights[copies[copied] - 1] = weights[copied]


class Compressed(_Copied):
    """Compressed sparse rows, and the places of the edges to each row.

    starts int32[R + 1], targets int32[E], types uint16[E], weights float32[E]; in_starts int32[R + 1],
    in_places int32[E], ascending for each target. 14 bytes an edge, 8 a row.
    """

    NAMES = ("starts", "targets", "types", "weights", "in_starts", "in_places")

    def __init__(self, kernels: RelationshipsKernels) -> None:
        super().__init__()
        self._kernels = kernels
        self.starts, self.in_starts = np.zeros((2, 1), dtype=np.int32)
        self.targets, self.in_places = np.zeros((2, 0), dtype=np.int32)
        self.types = np.zeros(0, dtype=np.uint16)
        self.weights = np.zeros(0, dtype=np.float32)

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return all that is held, the copies' places of a merge included."""
        return [*self.state().values(), self.copies]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        return {name: getattr(self, name) for name in self.NAMES}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        for name in self.NAMES:
            setattr(self, name, state[name])

    def find(self, sources: Rows, targets: Rows, types: Rows) -> Rows:
        """Return the place of each edge, -1 where it is not here."""
        return self._kernels.find_compressed(
            self.starts, self.in_starts, self.in_places, self.types, sources, targets, types
        )

    def leaving(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return the index in `rows`, and the place, of each edge from rows."""
        return _spans(self.starts, rows)

    def arriving(self, rows: Rows) -> Rows:
        """Return the places of the edges to rows."""
        places: Rows = self.in_places[_spans(self.in_starts, rows)[1]].astype(np.int64)
        return places

    def sources_of(self, places: Rows) -> Rows:
        """Return the sources of the edges at places."""
        sources: Rows = np.searchsorted(self.starts, places.astype(np.int32), side="right") - 1
        return sources


class Delta(_Copied):
    """Edges in the order in which they came, chained by source and by target.

    used: how many there are. sources and targets int32, types uint16, weights float32; out_next, in_next
    int32: the place of the one before it of the same source, or target, plus 1; out_heads, in_heads
    int32[rows]: that of the latest. 0 ends a chain. An edge is here once, removed or not.
    """

    NAMES = ("sources", "targets", "types", "weights", "out_next", "in_next")

    def __init__(self, kernels: RelationshipsKernels, rows: int) -> None:
        super().__init__()
        self._kernels = kernels
        self.used = 0
        self.sources, self.targets, self.out_next, self.in_next = np.zeros((4, 0), dtype=np.int32)
        self.out_heads, self.in_heads = np.zeros(rows, dtype=np.int32), np.zeros(rows, dtype=np.int32)
        self.types = np.zeros(0, dtype=np.uint16)
        self.weights = np.zeros(0, dtype=np.float32)

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return all that is held, room to grow and the copies' places of a merge included."""
        names = (*self.NAMES, "out_heads", "in_heads")
        return [*(getattr(self, name) for name in names), self.copies]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        own: dict[str, npt.NDArray[Any]] = {name: getattr(self, name)[: self.used] for name in self.NAMES}
        return own | {"out_heads": self.out_heads, "in_heads": self.in_heads}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        for name in (*self.NAMES, "out_heads", "in_heads"):
            setattr(self, name, state[name])
        self.used = self.sources.size

    def enter(self, sources: Rows, targets: Rows, types: Rows, weights: Weights) -> Flags:
        """Add edges, or give them other weights; tell of each whether it was not there, or removed."""
        rows = int(max(sources.max(initial=-1), targets.max(initial=-1))) + 1
        self.out_heads, self.in_heads = grown(self.out_heads, rows), grown(self.in_heads, rows)
        for name in self.NAMES:
            setattr(self, name, grown(getattr(self, name), self.used + sources.size))
        self.used, fresh = self._kernels.enter(
            self.out_heads, self.in_heads, self.out_next, self.in_next,
            self.sources, self.targets, self.types, self.weights, self.used,
            sources, targets, types, weights,
        )  # fmt: skip
        return fresh

    def find(self, sources: Rows, targets: Rows, types: Rows) -> Rows:
        """Return the place of each edge, -1 where it is not here."""
        return self._kernels.find_recent(
            self.out_heads, self.in_heads, self.out_next, self.in_next,
            self.sources, self.targets, self.types, sources, targets, types,
        )  # fmt: skip

    def leaving(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return the index in `rows`, and the place, of each edge from rows."""
        return self._kernels.chained(self.out_heads, self.out_next, self.sources[: self.used], rows)

    def arriving(self, rows: Rows) -> Rows:
        """Return the places of the edges to rows."""
        return self._kernels.chained(self.in_heads, self.in_next, self.targets[: self.used], rows)[1]

    def sources_of(self, places: Rows) -> Rows:
        """Return the sources of the edges at places."""
        return self.sources[places].astype(np.int64)


def edges_at(store: Store, places: Rows, sources: Rows | None = None) -> Edges:
    """Return the edges at places, with their sources unless others are given."""
    return Edges(
        store.sources_of(places) if sources is None else sources,
        store.targets[places].astype(np.int64),
        store.types[places].astype(np.int64),
        store.weights[places],
    )


def joined(parts: list[Edges]) -> Edges:
    """Return the edges of several lists."""
    names = ("sources", "targets", "types", "weights")
    return Edges(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _spans(starts: Numbers, rows: Rows) -> tuple[Rows, Rows]:
    """Return the index of each of rows as often as its span is long, and what is in the spans."""
    last = starts.size - 1
    begins = starts[np.minimum(rows, last)].astype(np.int64)
    lengths = starts[np.minimum(rows + 1, last)] - begins
    owners = np.repeat(np.arange(rows.size), lengths)
    shifts = begins - np.cumsum(lengths) + lengths
    return owners, np.arange(owners.size) + shifts[owners]
