"""Directed, typed, weighted edges between rows of concepts: compressed sparse rows, and a delta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.growth import grown

Rows = npt.NDArray[np.int64]
_SMALLEST_MERGE = 8192
_REMOVED = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """A list of edges: sources, targets and types int64[n], weights float32[n]."""

    sources: Rows
    targets: Rows
    types: Rows
    weights: npt.NDArray[np.float32]


class Relationships:
    """Edges by source. New ones wait in a delta that is merged when it is a sixteenth of the rest.

    A merged edge is changed or removed (weight 0) in its place. `incoming` int32[rows] counts, for each
    target, the edges to it.
    """

    def __init__(self) -> None:
        self.types: list[str] = []
        self.incoming = np.zeros(0, dtype=np.int32)
        self.count = 0
        self._type_ids: dict[str, int] = {}
        self._starts = np.zeros(1, dtype=np.int64)
        self._targets = np.zeros(0, dtype=np.int32)
        self._types = np.zeros(0, dtype=np.uint16)
        self._weights = np.zeros(0, dtype=np.float32)
        self._delta: dict[int, dict[tuple[int, int], float]] = {}
        self._delta_size = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the delta is not counted."""
        parts = (self.incoming, self._starts, self._targets, self._types, self._weights)
        return sum(part.nbytes for part in parts)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `restore` takes."""
        names = [name.encode("utf-8", "surrogatepass") for name in self.types]
        delta = self._leaving_delta(np.array(list(self._delta), dtype=np.int64))
        recent = _edges(delta) if delta else Edges(*(np.zeros(0, dtype=np.int64),) * 3, self._weights[:0])
        sources = np.array(list(self._delta), dtype=np.int64)[recent.sources]
        return {
            "type_names": np.frombuffer(b"".join(names), dtype=np.uint8),
            "type_sizes": np.array([len(name) for name in names], dtype=np.int32),
            "incoming": self.incoming, "starts": self._starts, "targets": self._targets,
            "types": self._types, "weights": self._weights, "delta_sources": sources,
            "delta_targets": recent.targets, "delta_types": recent.types, "delta_weights": recent.weights,
        }  # fmt: skip

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what another one was when it told its state; it goes on in the state's arrays."""
        raw, ends = state["type_names"].tobytes(), np.cumsum(state["type_sizes"]).tolist()
        self.types = [
            raw[start:end].decode("utf-8", "surrogatepass")
            for start, end in zip([0, *ends], ends, strict=False)
        ]
        self._type_ids = {name: number for number, name in enumerate(self.types)}
        self._starts, self._targets = state["starts"], state["targets"]
        self._types, self._weights = state["types"], state["weights"]
        self.incoming = state["incoming"].copy()
        sources, targets, types = (state[f"delta_{name}"] for name in ("sources", "targets", "types"))
        np.subtract.at(self.incoming, targets, 1)
        self.count = int(self.incoming.sum())
        self._delta, self._delta_size = {}, 0
        self.set_many(sources, targets, types, state["delta_weights"])

    def type_id(self, name: str) -> int:
        """Return the number of a type, a new one when it is not known."""
        number = self._type_ids.get(name)
        if number is None:
            number = self._type_ids[name] = len(self.types)
            self.types.append(name)
        return number

    def has(self, source: int, target: int, name: str) -> bool:
        """Tell whether there is an edge."""
        type_id = self._type_ids.get(name)
        if type_id is None:
            return False
        return (type_id, target) in self._delta.get(source, ()) or self._merged(source, target, type_id) >= 0

    def set(self, source: int, target: int, type_id: int, weight: float) -> None:
        """Add an edge, or give it another weight."""
        place = self._merged(source, target, type_id)
        if place >= 0:
            self._weights[place] = weight
            return
        edges = self._delta.setdefault(source, {})
        if (type_id, target) not in edges:
            self.incoming = grown(self.incoming, target + 1)
            self.incoming[target] += 1
            self.count += 1
            self._delta_size += 1
        edges[type_id, target] = weight
        if self._delta_size >= max(_SMALLEST_MERGE, self._targets.size // 16):
            self.merge()

    def set_many(self, sources: Rows, targets: Rows, types: Rows, weights: npt.NDArray[np.float32]) -> None:
        """Do `set` for each edge, in order: sources, targets and types (their numbers) int64[n]."""
        parts = sources.tolist(), targets.tolist(), types.tolist(), weights.tolist()
        for source, target, type_id, weight in zip(*parts, strict=True):
            self.set(source, target, type_id, weight)

    def remove(self, source: int, target: int, type_id: int) -> bool:
        """Remove an edge; tell whether there was one."""
        edges = self._delta.get(source, {})
        if edges.pop((type_id, target), None) is not None:
            self._delta_size -= 1
            if not edges:
                del self._delta[source]
        else:
            place = self._merged(source, target, type_id)
            if place < 0:
                return False
            self._weights[place] = _REMOVED
        self.incoming[target] -= 1
        self.count -= 1
        return True

    def drop(self, row: int) -> list[int]:
        """Remove all edges from and to a row; return the targets of those from it."""
        targets = []
        for target, type_id, _ in list(self.of(row)):
            self.remove(row, target, type_id)
            targets.append(target)
        if row < self.incoming.size and self.incoming[row]:
            for source, type_id in list(self._to(row)):
                self.remove(source, row, type_id)
        return targets

    def of(self, row: int) -> Iterator[tuple[int, int, float]]:
        """Yield (target, type, weight) of the edges from a row."""
        if row + 1 < self._starts.size:
            part = slice(int(self._starts[row]), int(self._starts[row + 1]))
            lists = (self._targets[part].tolist(), self._types[part].tolist(), self._weights[part].tolist())
            for target, type_id, weight in zip(*lists, strict=True):
                if weight != _REMOVED:
                    yield target, type_id, weight
        for (type_id, target), weight in self._delta.get(row, {}).items():
            yield target, type_id, weight

    def count_leaving(self, rows: Rows) -> int:
        """Return how many edges `leaving` looks at for rows int64[n]."""
        starts, ends = self._bounds(rows)
        recent = sum([len(self._delta.get(row, ())) for row in rows.tolist()]) if self._delta else 0
        return int((ends - starts).sum()) + recent

    def leaving(self, rows: Rows, limit: int) -> tuple[Edges, bool]:
        """Return the edges from rows (sources are indexes into `rows`), and whether the limit cut them."""
        starts, ends = self._bounds(rows)
        lengths = ends - starts
        cut = int(lengths.sum()) > limit
        if cut:
            lengths = np.minimum(lengths, np.maximum(0, limit - (np.cumsum(lengths) - lengths)))
        sources = np.repeat(np.arange(rows.size), lengths)
        offsets = np.arange(sources.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(starts, lengths) + offsets
        places, sources = places[live := self._weights[places] != _REMOVED], sources[live]
        merged = Edges(
            sources,
            self._targets[places].astype(np.int64),
            self._types[places].astype(np.int64),
            self._weights[places],
        )
        recent = self._leaving_delta(rows)
        room = limit - merged.sources.size
        edges = _joined(merged, _edges(recent[:room])) if recent[:room] else merged
        return edges, cut or len(recent) > room

    def all(self) -> Edges:
        """Return all edges, in no order."""
        live = np.flatnonzero(self._weights != _REMOVED)
        sources = np.repeat(np.arange(self._starts.size - 1), np.diff(self._starts))[live]
        merged = Edges(
            sources,
            self._targets[live].astype(np.int64),
            self._types[live].astype(np.int64),
            self._weights[live],
        )
        recent = [(s, t, k, w) for s, edges in self._delta.items() for (k, t), w in edges.items()]
        return _joined(merged, _edges(recent)) if recent else merged

    def merge(self) -> None:
        """Merge the delta into the compressed rows."""
        edges = self.all()
        order = np.argsort(edges.sources, kind="stable")
        rows = int(edges.sources.max(initial=-1)) + 1
        self._starts = np.zeros(rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(edges.sources, minlength=rows), out=self._starts[1:])
        self._targets = edges.targets[order].astype(np.int32)
        self._types = edges.types[order].astype(np.uint16)
        self._weights = edges.weights[order]
        self._delta.clear()
        self._delta_size = 0

    def _merged(self, source: int, target: int, type_id: int) -> int:
        if source + 1 >= self._starts.size:
            return -1
        start, end = int(self._starts[source]), int(self._starts[source + 1])
        for place in range(start, end) if end - start <= 8 else ():
            if self._targets[place] == target and self._types[place] == type_id and self._weights[place]:
                return place
        if end - start <= 8:
            return -1
        same = (self._targets[start:end] == target) & (self._types[start:end] == type_id)
        places = np.flatnonzero(same & (self._weights[start:end] != _REMOVED))
        return start + int(places[0]) if places.size else -1

    def _to(self, row: int) -> Iterator[tuple[int, int]]:
        for place in np.flatnonzero((self._targets == row) & (self._weights != _REMOVED)).tolist():
            yield int(np.searchsorted(self._starts, place, side="right")) - 1, int(self._types[place])
        for source, edges in self._delta.items():
            yield from ((source, type_id) for type_id, target in edges if target == row)

    def _bounds(self, rows: Rows) -> tuple[Rows, Rows]:
        last = self._starts.size - 1
        return self._starts[np.minimum(rows, last)], self._starts[np.minimum(rows + 1, last)]

    def _leaving_delta(self, rows: Rows) -> list[tuple[int, int, int, float]]:
        delta = self._delta
        return [
            (index, target, type_id, weight)
            for index, row in enumerate(rows.tolist() if delta else ())
            if row in delta
            for (type_id, target), weight in delta[row].items()
        ]


def _edges(rows: list[tuple[int, int, int, float]]) -> Edges:
    sources, targets, types, weights = zip(*rows, strict=True)
    return Edges(
        np.array(sources, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        np.array(types, dtype=np.int64),
        np.array(weights, dtype=np.float32),
    )


def _joined(first: Edges, second: Edges) -> Edges:
    return Edges(
        np.concatenate((first.sources, second.sources)),
        np.concatenate((first.targets, second.targets)),
        np.concatenate((first.types, second.types)),
        np.concatenate((first.weights, second.weights)),
    )
