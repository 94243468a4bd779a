"""What a request can fail with: a stable code, a status, a sentence that reveals nothing of other tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortex_runtime.columns import (
    CapacityError,
    CycleError,
    DimensionError,
    InvalidOperationError,
    InvalidQueryError,
    NothingToEncodeError,
    QueryTooComplexError,
    QuotaError,
    TextTooLongError,
    TooManyTypesError,
    UnknownConceptError,
    VectorError,
)

if TYPE_CHECKING:
    from cortex_runtime.security.gateway import Caller

STATUS = {
    "invalid": 400,
    "dimension": 400,
    "too_complex": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "cycle": 409,
    "quota": 409,
    "too_large": 413,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
    "outcome_unknown": 503,
    "capacity": 507,
}
# What the column engine refuses; the first that an error is an instance of. Any other error is our own fault.
ENGINE: dict[type[Exception], str] = {
    CapacityError: "capacity",
    QuotaError: "quota",
    TooManyTypesError: "quota",
    CycleError: "cycle",
    DimensionError: "dimension",
    UnknownConceptError: "not_found",
    QueryTooComplexError: "too_complex",
    InvalidOperationError: "invalid",
    InvalidQueryError: "invalid",
    NothingToEncodeError: "invalid",
    TextTooLongError: "invalid",
    VectorError: "invalid",
}


class RequestError(Exception):
    """A request that is answered with an error; `reason` and `caller` are for the audit log alone.

    A message that may hold what a tenant gave needs a reason that does not: the audit log is not encrypted.
    """

    def __init__(self, code: str, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason or message
        self.caller: Caller | None = None

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return STATUS.get(self.code, STATUS["internal"])  # a newer node may have answered with another one


def code_of(error: Exception) -> str | None:
    """Return the code of what the column engine refuses, None for any other error."""
    return next((code for kind, code in ENGINE.items() if isinstance(error, kind)), None)
