"""Handlers of operators: the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_runtime.formats.messages import AuditEvent, encode
from cortex_runtime.server.changing import CALL_TIMEOUT, TIME
from cortex_runtime.server.errors import RequestError

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

MAX_EVENTS = 1000
_AUDIT = f"""
    select id::text, sequence, to_char(at at time zone 'UTC', {TIME}), tenant, actor, session, address,
           agent, action, resource, result, reason, request_id
    from audit
    where (%(tenant)s::text is null or tenant = %(tenant)s)
      and (%(actor)s::text is null or actor = %(actor)s)
      and (%(action)s::text is null or action = %(action)s)
      and (%(result)s::text is null or result = %(result)s or starts_with(result, %(result)s || ':'))
      and (%(since)s::timestamptz is null or at >= %(since)s::timestamptz)
    order by sequence desc limit %(limit)s
"""  # noqa: S608


async def audit_trail(service: Service, request: Request) -> bytes:
    """Return audit events, the newest first."""
    limit = request.query.get("limit", "100")
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_EVENTS:
        raise RequestError("invalid", f"limit is a number from 1 to {MAX_EVENTS}.")
    filters: dict[str, Any] = {
        key: request.query.get(key) for key in ("tenant", "actor", "action", "result", "since")
    }
    await service.audit.flush()
    async with service.primary.connection(CALL_TIMEOUT) as connection:
        rows = await (await connection.execute(_AUDIT, {**filters, "limit": int(limit)})).fetchall()
    return encode([AuditEvent(**dict(zip(AuditEvent.__struct_fields__, row, strict=True))) for row in rows])
