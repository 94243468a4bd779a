"""Directed, typed, weighted edges between rows of concepts: compressed sparse rows, and a delta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.edges import (
    REMOVED,
    Compressed,
    Delta,
    Edges,
    Flags,
    Rows,
    Store,
    Weights,
    edges_at,
    joined,
)
from cortex_runtime.columns.growth import grown
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.merging import Merge, pieces_of
from cortex_runtime.columns.model import INHERITS, NEAR_DUPLICATE

NEAR_DUPLICATES, PARENTS = 0, 1  # the numbers of the two types that the engine itself uses
MOST_TYPES = 1 << 16  # numbers of types are uint16
_SMALLEST_MERGE = 8192


class Relationships:
    """Edges by source and by target. New ones wait in a delta, to be merged piece by piece.

    A merged edge is changed or removed in its place. types: their names by number. count: how many edges
    there are. incoming int32[rows]: the edges to each row; outgoing int32[rows]: those from it that
    activation spreads over, all but near-duplicates. Both are at least as long as any row is high.
    There may be 2**31 - 1 edges.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.types: list[str] = [NEAR_DUPLICATE, INHERITS]
        self.incoming, self.outgoing = np.zeros((2, 0), dtype=np.int32)
        self.count = 0
        self._type_ids = {name: number for number, name in enumerate(self.types)}
        self._kernels = kernels.relationships
        self._rows = 0
        self._merge: Merge | None = None
        self._old: list[npt.NDArray[Any]] = []
        self._removed = self._removed_before = 0
        self.compressed = Compressed(self._kernels)
        self.frozen, self.delta = Delta(self._kernels, 0), Delta(self._kernels, 0)

    @property
    def nbytes(self) -> int:
        """Bytes held, room to grow included, without what a merge in progress writes."""
        parts = (self.compressed, self.frozen, self.delta)
        held = sum(array.nbytes for part in parts for array in part.arrays())
        return held + self.incoming.nbytes + self.outgoing.nbytes

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes. A merge in progress is not part of it: it is begun anew."""
        names = [name.encode("utf-8", "surrogatepass") for name in self.types]
        state: dict[str, npt.NDArray[Any]] = {
            "type_names": np.frombuffer(b"".join(names), dtype=np.uint8),
            "type_sizes": np.array([len(name) for name in names], dtype=np.int32),
            "incoming": self.incoming,
            "outgoing": self.outgoing,
        }
        for prefix, part in self._parts().items():
            state |= {f"{prefix}_{name}": array for name, array in part.state().items()}
        return state

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        raw, ends = state["type_names"].tobytes(), np.cumsum(state["type_sizes"]).tolist()
        spans = zip([0, *ends], ends, strict=False)
        self.types = [raw[start:end].decode("utf-8", "surrogatepass") for start, end in spans]
        self._type_ids = {name: number for number, name in enumerate(self.types)}
        self.incoming, self.outgoing = state["incoming"], state["outgoing"]
        self._rows, self.count = self.incoming.size, int(self.incoming.sum())
        for prefix, part in self._parts().items():
            own = {
                name.removeprefix(f"{prefix}_"): array
                for name, array in state.items()
                if name.startswith(f"{prefix}_")
            }
            part.restore(own)
        self._merge = None
        self._removed = int((self.compressed.weights == REMOVED).sum())

    def _parts(self) -> dict[str, Compressed | Delta]:
        return {"compressed": self.compressed, "frozen": self.frozen, "delta": self.delta}

    def knows(self, name: str) -> bool:
        """Tell whether a type has a number."""
        return name in self._type_ids

    def type_id(self, name: str) -> int:
        """Return the number of a type, a new one if it is not known. Raises ValueError when all are used."""
        number = self._type_ids.get(name)
        if number is None:
            if len(self.types) == MOST_TYPES:
                raise ValueError(f"more than {MOST_TYPES} types of relationships: {name!r}")
            number = self._type_ids[name] = len(self.types)
            self.types.append(name)
        return number

    def has(self, source: int, target: int, name: str) -> bool:
        """Tell whether there is an edge."""
        type_id = self._type_ids.get(name)
        if type_id is None:
            return False
        edge = _one(source), _one(target), _one(type_id)
        return any(
            place >= 0 and store.weights[place] != REMOVED
            for store in self._stores()
            for place in store.find(*edge).tolist()
        )

    def set(self, source: int, target: int, type_id: int, weight: float) -> None:
        """Add an edge, or give it another weight."""
        self.set_many(_one(source), _one(target), _one(type_id), np.array([weight], dtype=np.float32))

    def set_many(self, sources: Rows, targets: Rows, types: Rows, weights: Weights) -> None:
        """Do `set` for each edge, in order: sources, targets and types (their numbers) int64[n]."""
        self._make_room(int(max(sources.max(initial=-1), targets.max(initial=-1))) + 1)
        new = np.ones(sources.size, dtype=np.bool_)
        for store in (self.compressed, self.frozen):
            if store.weights.size:
                places = store.find(sources, targets, types)
                there = np.flatnonzero(places >= 0)
                there = there[store.weights[places[there]] != REMOVED]
                store.put(places[there], weights[there])
                new[there] = False
        if not new.all():
            sources, targets, types, weights = sources[new], targets[new], types[new], weights[new]
        added = self.delta.enter(sources, targets, types, weights)
        self._count(sources[added], targets[added], types[added], 1)

    def remove(self, source: int, target: int, type_id: int) -> bool:
        """Remove an edge; tell whether there was one."""
        return bool(self.remove_many(_one(source), _one(target), _one(type_id))[0])

    def remove_many(self, sources: Rows, targets: Rows, types: Rows) -> Flags:
        """Do `remove` for each edge, in order."""
        removed = np.zeros(sources.size, dtype=np.bool_)
        for store in self._stores():
            places = store.find(sources, targets, types)
            there = np.flatnonzero(places >= 0)
            there = there[store.weights[places[there]] != REMOVED]
            if there.size > 1:
                there = there[np.unique(places[there], return_index=True)[1]]
            self._put_removed(store, places[there])
            removed[there] = True
        self._count(sources[removed], targets[removed], types[removed], -1)
        return removed

    def drop(self, row: int) -> list[int]:
        """Remove all edges from and to a row; return the targets of those from it."""
        targets: list[int] = []
        for store in self._stores():
            for leaving in (True, False):
                places = store.leaving(_one(row))[1] if leaving else store.arriving(_one(row))
                places = places[store.weights[places] != REMOVED]
                edges = edges_at(store, places)
                self._put_removed(store, places)
                self._count(edges.sources, edges.targets, edges.types, -1)
                targets += edges.targets.tolist() if leaving else []
        return targets

    def of(self, row: int) -> Iterator[tuple[int, int, float]]:
        """Yield (target, type, weight) of the edges from a row."""
        edges = self.leaving(_one(row))
        yield from zip(edges.targets.tolist(), edges.types.tolist(), edges.weights.tolist(), strict=True)

    def count_leaving(self, rows: Rows) -> int:
        """Return how many edges activation would spread over from rows int64[n]."""
        return int(self.outgoing[rows[rows < self._rows]].sum())

    def leaving(self, rows: Rows) -> Edges:
        """Return the edges from rows, in no order; sources are indexes into `rows`."""
        found = []
        for store in self._stores():
            owners, places = store.leaving(rows)
            alive = store.weights[places] != REMOVED
            found.append(edges_at(store, places[alive], owners[alive]))
        return joined(found)

    def arriving(self, rows: Rows) -> Edges:
        """Return the edges to rows, each once for each time that its target is in `rows`, in no order."""
        found = []
        for store in self._stores():
            places = store.arriving(rows)
            found.append(edges_at(store, places[store.weights[places] != REMOVED]))
        return joined(found)

    def all(self) -> Edges:
        """Return all edges, in no order."""
        return joined([edges_at(store, np.flatnonzero(store.weights)) for store in self._stores()])

    # Merging.

    def waiting(self) -> int:
        """Return how many pieces of merging wait, 0 while what there is to merge is not worth it."""
        if self._merge is not None:
            return self._merge.left
        if self._old:
            return len(self._old)
        size = self.compressed.weights.size
        due = max(self.delta.used, self._removed) >= max(_SMALLEST_MERGE, size // 16) or self.frozen.used
        return pieces_of(size, self.delta.used, self._rows) if due else 0

    def step(self) -> None:
        """Merge a piece, of a millisecond or two; the first of a merge begins it."""
        if self._old:
            self._old.pop()  # to give back a lot of memory takes a while
        elif self._merge is None:
            if not self.frozen.used:  # else a merge was begun before a restart
                self.frozen, self.delta = self.delta, Delta(self._kernels, self._rows)
            self._removed_before = self._removed
            self._merge = Merge(self._kernels, self.compressed, self.frozen, self._rows)
        elif (merged := self._merge.step()) is not None:
            self._removed -= self._removed_before
            self._old = [*self.compressed.arrays(), *self.frozen.arrays()]
            self.compressed, self.frozen, self._merge = merged, Delta(self._kernels, 0), None

    def merge(self) -> None:
        """Merge all of the delta now, however long it takes: to load with, not to serve with."""
        while self._merge is not None or self._old or self.frozen.used or self.delta.used or self._removed:
            self.step()

    def _stores(self) -> list[Store]:
        """Return where there are edges; the edges of one source, target and type are in one of them."""
        stores: list[Store] = [self.compressed]
        return stores + [delta for delta in (self.frozen, self.delta) if delta.used]

    def _put_removed(self, store: Store, places: Rows) -> None:
        store.put(places, np.zeros(places.size, dtype=np.float32))
        if store is not self.delta:
            self._removed += places.size

    def _count(self, sources: Rows, targets: Rows, types: Rows, step: int) -> None:
        np.add.at(self.incoming, targets, step)
        np.add.at(self.outgoing, sources[types != NEAR_DUPLICATES], step)
        self.count += step * sources.size

    def _make_room(self, rows: int) -> None:
        self._rows = max(self._rows, rows)
        self.incoming, self.outgoing = grown(self.incoming, rows), grown(self.outgoing, rows)


def _one(number: int) -> Rows:
    return np.array([number], dtype=np.int64)
