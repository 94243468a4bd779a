"""Messages of the HTTP API: one struct for each body that is sent or received.

The OpenAPI document is generated from these types, the server decodes into them, and the client
returns them, so that the three cannot disagree. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from cortex_runtime.formats import decoding

MAX_BODY_BYTES = 1 << 20
MAX_BATCH = 1000
MAX_RELATIONSHIPS = 1000
MAX_BUDGET = 10_000
INHERITS = "inherits"  # the type of the relationship from a concept to its parent

# Python's $ also stands before a last newline: hence what follows it.
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$(?!\n)")]
CortexName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$(?!\n)")]
# No control characters, C1 and separators of lines and paragraphs included.
PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
ConceptId = Annotated[str, Meta(min_length=1, max_length=256, pattern=rf"^{PRINTABLE}+$(?!\n)")]
RelationshipType = Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^{PRINTABLE}+$(?!\n)")]
Weight = Annotated[float, Meta(ge=1e-6, le=1.0)]
Text = Annotated[str, Meta(min_length=1, max_length=1 << 16)]
Vector = Annotated[list[float], Meta(min_length=1, max_length=65_535)]
Scalar = str | int | float | bool
OneOf = Annotated[list[Scalar], Meta(min_length=1, max_length=1024)]


class Message(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of all messages: immutable, keyword-only, no unknown fields."""


class Position(Message, frozen=True, kw_only=True):
    """A place in a slot's change log. `seq` alone says nothing: a rewound log may use it again."""

    slot: int
    token: int
    seq: int


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
    properties: dict[str, Any] = {}
    relationships: Annotated[list[Relationship], Meta(max_length=MAX_RELATIONSHIPS)] = []
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
    own_properties: dict[str, Any] = {}
    inherited: dict[str, str] = {}
    ancestors: list[str] = []
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
    where: Annotated[dict[str, Scalar | OneOf], Meta(max_length=16)] = {}
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


class LoginRequest(Message, frozen=True, kw_only=True):
    """Exchange an API key for a token."""

    tenant: TenantName
    api_key: Annotated[str, Meta(min_length=8, max_length=256)]


class LoginResponse(Message, frozen=True, kw_only=True):
    """A bearer token, bound to the tenant. `expires_in` is in seconds."""

    token: str
    session: str
    expires_in: int


class OnboardRequest(Message, frozen=True, kw_only=True):
    """Make a tenant, or return the one that exists. Its key-encryption key is in the keyring already."""

    tenant: TenantName
    tier: Literal["free", "standard", "enterprise"] = "standard"
    keyring_generation: Annotated[int, Meta(ge=1, lt=1 << 31)]


class Tenant(Message, frozen=True, kw_only=True):
    """A tenant as operators see it."""

    tenant: str
    tier: str
    state: str
    created_at: str
    key_version: int
    concepts: int


class OnboardResponse(Message, frozen=True, kw_only=True):
    """`api_key` is shown once, at creation alone."""

    tenant: Tenant
    created: bool
    api_key: str | None = None


class ApiKeyResponse(Message, frozen=True, kw_only=True):
    """A further API key of a tenant, shown once."""

    tenant: str
    api_key: str


class KeyVersion(Message, frozen=True, kw_only=True):
    """A version of a tenant's data key. `proven` names the regions that opened its check value."""

    version: int
    state: Literal["PENDING", "ACTIVE", "DECRYPT_ONLY", "RETIRING", "DESTROYED"]
    kek_version: int
    created_at: str
    activated_at: str | None
    proven: list[str]
    concepts: int


class AuditEvent(Message, frozen=True, kw_only=True):
    """One entry of the audit log."""

    id: str
    sequence: int
    at: str
    tenant: str | None
    actor: str
    session: str | None
    address: str
    agent: str
    action: str
    resource: str
    result: str
    reason: str | None
    request_id: str


class SlotReport(Message, frozen=True, kw_only=True):
    """A slot that holds concepts, as one node sees it. `digest` is its arrays' hash, if asked for."""

    slot: int
    owner: bool
    position: Position
    digest: str


class ConsolidationReport(Message, frozen=True, kw_only=True):
    """Items of consolidation that wait, and were done since the start; seconds of the longest slice."""

    backlog: int
    done: int
    longest_slice: float


class HealthReport(Message, frozen=True, kw_only=True):
    """What a node says of itself. `lag` is seconds behind the primary, null when it cannot know."""

    deployment: str
    node: str
    region: str
    version: str
    status: Literal["healthy", "degraded", "draining"]
    reasons: list[str]
    role: Literal["owner", "replica"]
    primary_region: str | None
    owned: int
    held: int
    lag: float | None
    columns: int
    concepts: int
    relationships: int
    pending_relationships: int
    queue: int
    consolidation: ConsolidationReport
    kernels: Literal["numpy", "numba"]
    uptime: float
    slots: list[SlotReport]


class ErrorDetail(Message, frozen=True, kw_only=True):
    """A stable code for programs, a sentence for people, and what finds the request in the logs."""

    code: str
    message: str
    request_id: str


class ErrorResponse(Message, frozen=True, kw_only=True):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail


def encode(message: object) -> bytes:
    """Return the JSON of a message."""
    return msgspec.json.encode(message)


decoding.learn(globals())
