"""What a request can fail with: a stable code, a status, a sentence that reveals nothing of other tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_runtime.security.gateway import Caller

STATUS = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
    "outcome_unknown": 503,
}


class RequestError(Exception):
    """A request that is answered with an error; `reason` and `caller` are for the audit log alone."""

    def __init__(self, code: str, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason or message
        self.caller: Caller | None = None

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return STATUS[self.code]
