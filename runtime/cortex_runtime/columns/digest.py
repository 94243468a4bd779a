"""The hash of a cortex's state: canonical, so that it does not tell by which path the state was reached."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.identifiers import Rows

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex


def digest_of(cortex: Cortex) -> bytes:
    """Return the hash (32 bytes) of all that the state table can tell of a cortex."""
    concepts, arrays = cortex.concepts, cortex.arrays
    state = blake2b(digest_size=32, person=b"cortexkg-state-2")
    state.update(cortex.operations.to_bytes(8, "little"))
    known = concepts.known_rows()
    known = known[_order(concepts.ids[known])]
    rows = known[concepts.columns[known] != NOWHERE]
    columns = concepts.columns[rows]
    sizes, tags = cortex.properties.tags_by_row(rows)
    state.update(rows.size.to_bytes(8, "little"))
    for part, dtype in (
        (concepts.ids[rows], "u1"), (columns, "<i4"), (concepts.operations[rows], "<i8"),
        (arrays.bits[columns], "<u2"), (arrays.words[columns], "u1"), (arrays.variant_of[columns], "<i4"),
        (cortex.properties.dimensions_of(rows), "<u2"), (sizes, "<u2"), (tags, "<u8"),
    ):  # fmt: skip
        state.update(part.astype(dtype).tobytes())
    _add_relationships(state, cortex, known)
    return state.digest()


def _add_relationships(state: blake2b, cortex: Cortex, known: Rows) -> None:
    edges = cortex.relationships.all()
    ids = cortex.concepts.ids
    ranks = np.empty(ids.shape[0], dtype=np.int64)
    ranks[known] = np.arange(known.size)
    used = np.unique(edges.types).tolist()
    names = sorted((cortex.relationships.types[number], number) for number in used)
    type_ranks = np.zeros(len(cortex.relationships.types), dtype=np.uint16)
    type_ranks[[number for _, number in names]] = np.arange(len(names))
    order = np.lexsort((ranks[edges.targets], type_ranks[edges.types], ranks[edges.sources]))
    for name, _ in names:
        raw = name.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(4, "little") + raw)
    state.update(order.size.to_bytes(8, "little"))
    for part, dtype in (
        (ids[edges.sources[order]], "u1"), (type_ranks[edges.types[order]], "<u2"),
        (ids[edges.targets[order]], "u1"), (edges.weights[order], "<f4"),
    ):  # fmt: skip
        state.update(part.astype(dtype).tobytes())


def _order(ids: npt.NDArray[np.uint8]) -> Rows:
    """Return the order of ids uint8[n, 16] as bytes; of those that are the same, in no order."""
    halves = np.ascontiguousarray(ids).view(">u8").astype(np.uint64).reshape(-1, 2)
    order = np.argsort(halves[:, 0])
    first = halves[order, 0]
    if (first[1:] == first[:-1]).any():  # seldom in keyed hashes, and three times as much work
        order = np.lexsort((halves[:, 1], halves[:, 0]))
    return order
