"""The column engine: encoding, columns, competition, relationships, queries. Pure numpy, no I/O.

encoder, cortex = Encoder(), Cortex()
encoding = encoder.encode("a domestic animal that barks")
outcomes, decisions = cortex.compete([Put(id, encoding.bits, encoding.words)])   # changes nothing
cortex.apply(Decisions.from_bytes(decisions.to_bytes()))                         # here, and on every replica
cortex.query(encoder.encode("barking animal"), 5, hops=1).matches
"""

from __future__ import annotations

from cortex_runtime.columns.competition import Competition
from cortex_runtime.columns.cortex import Cortex
from cortex_runtime.columns.decisions import Decisions, MalformedDecisionsError
from cortex_runtime.columns.encoding import Encoder, Encoding, Encodings, TextTooLongError
from cortex_runtime.columns.following import NotFollowingError
from cortex_runtime.columns.model import (
    INHERITS,
    NEAR_DUPLICATE,
    CapacityError,
    ConceptRecord,
    CortexSettings,
    CycleError,
    Delete,
    DimensionError,
    InvalidOperationError,
    InvalidQueryError,
    Operation,
    Outcome,
    Put,
    QueryTooComplexError,
    QuotaError,
    Relate,
    RelationshipRecord,
    TooManyTypesError,
    UnknownConceptError,
    Unrelate,
)
from cortex_runtime.columns.querying import Match, QueryResult, Step
from cortex_runtime.columns.states import IllegalTransitionError, State
from cortex_runtime.columns.tags import Scalar, Wanted, tags_of
from cortex_runtime.columns.vectors import VectorError
from cortex_runtime.columns.words import NothingToEncodeError

__all__ = [
    "INHERITS",
    "NEAR_DUPLICATE",
    "CapacityError",
    "Competition",
    "ConceptRecord",
    "Cortex",
    "CortexSettings",
    "CycleError",
    "Decisions",
    "Delete",
    "DimensionError",
    "Encoder",
    "Encoding",
    "Encodings",
    "IllegalTransitionError",
    "InvalidOperationError",
    "InvalidQueryError",
    "MalformedDecisionsError",
    "Match",
    "NotFollowingError",
    "NothingToEncodeError",
    "Operation",
    "Outcome",
    "Put",
    "QueryResult",
    "QueryTooComplexError",
    "QuotaError",
    "Relate",
    "RelationshipRecord",
    "Scalar",
    "State",
    "Step",
    "TextTooLongError",
    "TooManyTypesError",
    "UnknownConceptError",
    "Unrelate",
    "VectorError",
    "Wanted",
    "tags_of",
]
