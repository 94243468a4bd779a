"""Concepts, relationships, batches and queries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import (
    INHERITS,
    MAX_BATCH,
    MAX_BUDGET,
    MAX_RELATIONSHIPS,
    ConceptId,
    Message,
    OneOf,
    Position,
    RelationshipType,
    Scalar,
    Text,
    Vector,
    Weight,
)


class Relationship(Message, frozen=True, kw_only=True):
    """A directed, typed, weighted edge to another concept, which may not exist yet (pending)."""

    type: RelationshipType
    target: ConceptId
    weight: Weight = 1.0


class ConceptBody(Message, omit_defaults=True, frozen=True, kw_only=True):
    """What a client puts: a text, a vector, or a vector with a text that is only shown.

    Relationships are added; one of same type and target is replaced. `parent` is the concept whose
    properties it has too: a relationship of type `inherits`, in place of another one.
    """

    text: Text | None = None
    vector: Vector | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    relationships: Annotated[list[Relationship], Meta(max_length=MAX_RELATIONSHIPS)] = field(
        default_factory=list
    )
    parent: ConceptId | None = None

    def __post_init__(self) -> None:
        if self.text is None and self.vector is None:
            raise ValueError("A concept has a `text`, a `vector` or both")
        parents = {edge.target for edge in self.relationships if edge.type == INHERITS}
        if len(parents | ({self.parent} if self.parent else set())) > 1:
            raise ValueError("A concept has one parent, in `parent` or as a relationship of type `inherits`")


class PutOperation(ConceptBody, tag_field="op", tag="put", frozen=True, kw_only=True):
    """Put one concept."""

    id: ConceptId


class DeleteOperation(Message, tag_field="op", tag="delete", frozen=True, kw_only=True):
    """Delete one concept with the relationships from and to it."""

    id: ConceptId


class RelateOperation(Message, tag_field="op", tag="relate", frozen=True, kw_only=True):
    """Add a relationship, or set the weight of an existing one."""

    source: ConceptId
    type: RelationshipType
    target: ConceptId
    weight: Weight = 1.0


class UnrelateOperation(Message, tag_field="op", tag="unrelate", frozen=True, kw_only=True):
    """Remove a relationship."""

    source: ConceptId
    type: RelationshipType
    target: ConceptId


Operation = PutOperation | DeleteOperation | RelateOperation | UnrelateOperation


class EraseOperation(Message, tag_field="op", tag="erase", frozen=True, kw_only=True):
    """Delete one concept for good, leaving a tombstone: not in a batch of a client's, see Erasure."""

    id: ConceptId


class BatchRequest(Message, frozen=True, kw_only=True):
    """Up to 1,000 operations on one cortex: all of them are applied, in order, or none."""

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=MAX_BATCH)]


class OperationResult(Message, frozen=True, kw_only=True):
    """What became of one operation."""

    id: str
    outcome: Literal["allocated", "joined", "updated", "deleted", "related", "unrelated", "absent"]
    column: int | None = None
    overlap: float | None = None
    variant_of: int | None = None


class BatchResponse(Message, frozen=True, kw_only=True):
    """Results in the order of the operations, and the position that contains them all."""

    results: list[OperationResult]
    position: Position


class Concept(Message, frozen=True, kw_only=True):
    """A concept as it is stored, with what it inherits.

    `properties` are the effective ones: its own, else the nearest ancestor's; one that is null there is
    hidden. `own_properties` are as they were put. `inherited` has the ancestor's id for each property that
    is not its own. `ancestors` are the concepts it inherits from, nearest first. `dimension` is the length of
    its vector, 0 for a text. `activation` is its column's: 1 for each concept that came, halved for each
    1,024 operations since; a node that was started again knows of the latest alone.
    """

    id: str
    text: str | None
    properties: dict[str, Any]
    column: int
    relationships: list[Relationship]
    key_version: int
    own_properties: dict[str, Any] = field(default_factory=dict)
    inherited: dict[str, str] = field(default_factory=dict)
    ancestors: list[str] = field(default_factory=list)
    dimension: int = 0
    activation: float = 0.0


class QueryRequest(Message, frozen=True, kw_only=True):
    """Find by text, by vector, or near a stored concept; then spread over relationships up to `hops`.

    `where` filters: of every key a concept has one of the values, its own or an inherited one. `budget` is
    what the query may cost, in units of 1,024 elementary steps (1,000 unless given). What would cost more is
    refused when `exact`; else the search is cut short, and the answer says that it is capped.
    """

    text: Text | None = None
    vector: Vector | None = None
    concept: ConceptId | None = None
    where: Annotated[dict[str, Scalar | OneOf], Meta(max_length=16)] = field(default_factory=dict)
    k: Annotated[int, Meta(ge=1, le=100)] = 10
    hops: Annotated[int, Meta(ge=0, le=3)] = 0
    decay: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5
    budget: Annotated[int, Meta(ge=1, le=MAX_BUDGET)] | None = None
    exact: bool = False
    position: Position | None = None

    def __post_init__(self) -> None:
        if [self.text, self.vector, self.concept].count(None) != 2:
            raise ValueError("A query has one of `text`, `vector` and `concept`")


class Step(Message, frozen=True, kw_only=True):
    """One step of the path that explains a result."""

    source: str
    type: str
    target: str


class Match(Message, frozen=True, kw_only=True):
    """One result. `overlap` is the share (0-1) of the query's weight found in the column's bits.

    `properties`, `own_properties` and `inherited` are those of Concept.
    """

    id: str
    text: str | None
    properties: dict[str, Any]
    own_properties: dict[str, Any]
    inherited: dict[str, str]
    column: int
    overlap: float
    activation: float
    path: list[Step]


class QueryResponse(Message, frozen=True, kw_only=True):
    """Results by falling activation.

    `capped`: the budget ended the search, there may be better ones. `cost`: what it cost at most, in units.
    """

    matches: list[Match]
    capped: bool
    cost: int
    position: Position


decoding.learn(globals())
