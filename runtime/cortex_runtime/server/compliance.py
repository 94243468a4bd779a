"""Handler of operators: what the primary database says of its own security and retention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cortex_runtime.changelog.database import EVERY, Connection, say_about
from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.formats.messages import (
    AuditFreshness,
    DatabaseEvidence,
    DatabaseRole,
    KeptBackup,
    Message,
    TableSecurity,
    encode,
)
from cortex_runtime.server.auditing import number_in
from cortex_runtime.server.changing import TIME

if TYPE_CHECKING:
    from cortex_runtime.server.requests import Request
    from cortex_runtime.server.service import Service

T = TypeVar("T", bound=Message)
TIMEOUT = 10.0
_TABLES = """
    select relname::text, relrowsecurity, relforcerowsecurity,
           (select count(*) from pg_policy where polrelid = pg_class.oid)
    from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
    order by relname
"""
_ROLE = """
    select rolname::text, rolsuper, rolbypassrls,
           (select count(*) from pg_class where relowner = pg_roles.oid)
    from pg_roles where rolname = current_user
"""
_OLDEST = f"""
    select to_char(last_time at time zone 'UTC', {TIME}) from audit_segment where content is not null
    order by last_time limit 1
"""  # noqa: S608 - the only thing put in, here and below, is the constant above  # nosec B608
LOGS = f"""
    select tenant, audit_tree.size, to_char(head.at at time zone 'UTC', {TIME}),
           coalesce((select max(size) from audit_checkpoint old where old.tenant = audit_tree.tenant
                     and at < clock_timestamp() - make_interval(secs => %s)), 0),
           coalesce((select extract(epoch from clock_timestamp() - min(at)) from audit_segment waiting
                     where waiting.tenant = audit_tree.tenant and leaf is null), 0)::float8
    from audit_tree join audit_checkpoint head using (tenant, size) order by tenant
"""  # noqa: S608  # nosec B608
_BACKUPS = f"""
    select name, to_char(made_at at time zone 'UTC', {TIME}), to_char(until at time zone 'UTC', {TIME})
    from backup where until > clock_timestamp() order by made_at
"""  # noqa: S608  # nosec B608


async def evidence(service: Service, request: Request) -> bytes:
    """Return what the primary says; `settled` is how many seconds ago a log's `settled` size was signed."""
    settled = number_in(request, "settled", 180, 0, 86_400)
    async with service.primary.connection(TIMEOUT) as connection, connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        await say_about(connection, EVERY)
        return encode(await _evidence(connection, settled))


async def _evidence(connection: Connection, settled: int) -> DatabaseEvidence:
    tables = await (await connection.execute(_TABLES)).fetchall()
    roles = await (await connection.execute(_ROLE)).fetchall()
    kept = await (await connection.execute("select what, kept::text from retention")).fetchall()
    oldest = await (await connection.execute(_OLDEST)).fetchone()
    logs = await (await connection.execute(LOGS, [settled])).fetchall()
    backups = await (await connection.execute(_BACKUPS)).fetchall()
    return DatabaseEvidence(
        tables=[_of(TableSecurity, row) for row in tables],
        role=_of(DatabaseRole, roles[0]),
        retention=dict(kept),
        oldest_audit=oldest[0] if oldest else None,
        logs=[_of(AuditFreshness, (tenant or NO_TENANT, *row)) for tenant, *row in logs],
        backups=[_of(KeptBackup, row) for row in backups],
    )


def _of(kind: type[T], row: Sequence[Any]) -> T:
    """Return a row as a message whose fields are in the row's order."""
    return kind(**dict(zip(kind.__struct_fields__, row, strict=True)))
