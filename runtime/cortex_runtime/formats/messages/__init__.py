"""Messages of the HTTP API: one struct for each body that is sent or received.

The OpenAPI document is generated from these types, the server decodes into them, and the client
returns them, so that the three cannot disagree. Unknown fields are refused.
"""

from cortex_runtime.formats.messages.access import LoginRequest, LoginResponse
from cortex_runtime.formats.messages.audit import AuditEvent
from cortex_runtime.formats.messages.base import (
    INHERITS,
    MAX_BATCH,
    MAX_BODY_BYTES,
    MAX_BUDGET,
    MAX_RELATIONSHIPS,
    PRINTABLE,
    ConceptId,
    CortexName,
    Message,
    OneOf,
    Position,
    RelationshipType,
    Scalar,
    TenantName,
    Text,
    Vector,
    Weight,
    encode,
)
from cortex_runtime.formats.messages.concepts import (
    BatchRequest,
    BatchResponse,
    Concept,
    ConceptBody,
    DeleteOperation,
    Match,
    Operation,
    OperationResult,
    PutOperation,
    QueryRequest,
    QueryResponse,
    RelateOperation,
    Relationship,
    Step,
    UnrelateOperation,
)
from cortex_runtime.formats.messages.errors import ErrorDetail, ErrorResponse
from cortex_runtime.formats.messages.health import ConsolidationReport, HealthReport, SlotReport
from cortex_runtime.formats.messages.keys import KeyVersion
from cortex_runtime.formats.messages.tenants import ApiKeyResponse, OnboardRequest, OnboardResponse, Tenant

__all__ = [
    "INHERITS",
    "MAX_BATCH",
    "MAX_BODY_BYTES",
    "MAX_BUDGET",
    "MAX_RELATIONSHIPS",
    "PRINTABLE",
    "ApiKeyResponse",
    "AuditEvent",
    "BatchRequest",
    "BatchResponse",
    "Concept",
    "ConceptBody",
    "ConceptId",
    "ConsolidationReport",
    "CortexName",
    "DeleteOperation",
    "ErrorDetail",
    "ErrorResponse",
    "HealthReport",
    "KeyVersion",
    "LoginRequest",
    "LoginResponse",
    "Match",
    "Message",
    "OnboardRequest",
    "OnboardResponse",
    "OneOf",
    "Operation",
    "OperationResult",
    "Position",
    "PutOperation",
    "QueryRequest",
    "QueryResponse",
    "RelateOperation",
    "Relationship",
    "RelationshipType",
    "Scalar",
    "SlotReport",
    "Step",
    "Tenant",
    "TenantName",
    "Text",
    "UnrelateOperation",
    "Vector",
    "Weight",
    "encode",
]
