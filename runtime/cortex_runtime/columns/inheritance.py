"""Who inherits from whom: the relationships of type INHERITS, from a concept to its parent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cortex_runtime.columns.concepts import NOWHERE
from cortex_runtime.columns.identifiers import NO_ROW
from cortex_runtime.columns.model import MAX_ANCESTORS
from cortex_runtime.columns.relationships import PARENTS

if TYPE_CHECKING:
    from cortex_runtime.columns.cortex import Cortex

Rows = npt.NDArray[np.int64]
_NOBODY = np.zeros(0, dtype=np.int64)


def parent_of(cortex: Cortex, row: int) -> int:
    """Return the row of a concept's parent, also of one that has not come yet; -1 when it has none."""
    edges = cortex.relationships.leaving(np.array([row], dtype=np.int64))
    parents = edges.targets[edges.types == PARENTS]
    return int(parents[0]) if parents.size else -1


def parents_of(cortex: Cortex, rows: Rows) -> Rows:
    """Return the row of each parent of rows int64[n], -1 where there is none, or it has not come yet."""
    parents = np.full(rows.size, -1, dtype=np.int64)
    edges = cortex.relationships.leaving(rows)
    inherits = edges.types == PARENTS
    parents[edges.sources[inherits]] = edges.targets[inherits]
    parents[(parents >= 0) & (cortex.concepts.columns[parents] == NOWHERE)] = -1
    return parents


def ancestors_of(cortex: Cortex, row: int) -> list[int]:
    """Return the rows of the concepts that a concept inherits from, nearest first."""
    ancestors: list[int] = []
    row = parent_of(cortex, row)
    while row >= 0 and cortex.concepts.columns[row] != NOWHERE and len(ancestors) < MAX_ANCESTORS:
        ancestors.append(row)
        row = parent_of(cortex, row)
    return ancestors


def children_of(cortex: Cortex, rows: Rows) -> Rows:
    """Return the rows of the concepts whose parent is in one of the rows int64[n]."""
    edges = cortex.relationships.arriving(rows)
    children: Rows = edges.sources[edges.types == PARENTS]
    return children


class Lineage:
    """Parents and children as they would be once the decisions so far are applied."""

    def __init__(self, cortex: Cortex) -> None:
        self._cortex = cortex
        self._parents: dict[bytes, bytes | None] = {}
        self._children: dict[bytes, set[bytes]] = {}
        self._gone: set[bytes] = set()

    def parent_of(self, identifier: bytes) -> bytes | None:
        """Return a concept's parent, also one that has not come yet; None when it has none."""
        if identifier in self._parents:
            return self._parents[identifier]
        concepts = self._cortex.concepts
        row = concepts.row_of(identifier)
        row = row if row == NO_ROW else parent_of(self._cortex, row)
        parent = None if row < 0 else concepts.id_of(row)
        return None if parent in self._gone else parent

    def ancestors_of(self, identifier: bytes) -> list[bytes]:
        """Return whom a concept inherits from, nearest first, the last maybe one that has not come yet."""
        ancestors: list[bytes] = []
        parent = self.parent_of(identifier)
        while parent is not None and len(ancestors) < MAX_ANCESTORS:
            ancestors.append(parent)
            parent = self.parent_of(parent)
        return ancestors

    def generations_below(self, identifier: bytes) -> int:
        """Return how many generations inherit from a concept, at most MAX_ANCESTORS."""
        rows, named = _NOBODY, {identifier}
        for generations in range(MAX_ANCESTORS):
            rows, named = self._children_in_cortex(rows, named), self._children_decided(rows, named)
            if not rows.size and not named:
                return generations
        return MAX_ANCESTORS

    def set_parent(self, identifier: bytes, parent: bytes | None) -> None:
        """Go on as if a concept had another parent, or none any more."""
        before = self._parents.get(identifier)
        if before is not None:
            self._children[before].discard(identifier)
        self._parents[identifier] = parent
        if parent is not None:
            self._children.setdefault(parent, set()).add(identifier)

    def delete(self, identifier: bytes) -> None:
        """Go on as if a concept were gone, with the relationships from and to it."""
        self.set_parent(identifier, None)
        self._gone.add(identifier)
        for child in self._children.pop(identifier, ()):
            self._parents[child] = None

    def _children_in_cortex(self, rows: Rows, named: set[bytes]) -> Rows:
        """Return the children that no decision was about."""
        parents = np.concatenate((rows, self._rows(named - self._gone)))
        children = children_of(self._cortex, parents)
        return children[~np.isin(children, self._rows(self._parents))] if children.size else children

    def _children_decided(self, rows: Rows, named: set[bytes]) -> set[bytes]:
        row_of = self._cortex.concepts.row_of
        parents = {parent for parent in named if parent in self._children}
        if rows.size:
            among = set(rows.tolist())
            parents |= {parent for parent in self._children if row_of(parent) in among}
        return {child for parent in parents for child in self._children[parent]}

    def _rows(self, identifiers: Iterable[bytes]) -> Rows:
        rows = [self._cortex.concepts.row_of(each) for each in identifiers]
        return np.array([row for row in rows if row != NO_ROW], dtype=np.int64)
