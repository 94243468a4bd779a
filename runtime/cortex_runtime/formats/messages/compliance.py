"""What the database itself proves to whoever checks a deployment."""

from __future__ import annotations

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class TableSecurity(Message, frozen=True, kw_only=True):
    """Row-level security of a table: whether it is on, binds its owner too, and how many policies it has."""

    table: str
    enabled: bool
    forced: bool
    policies: int


class DatabaseRole(Message, frozen=True, kw_only=True):
    """The role of the nodes: what would let it pass by row-level security, and how many tables it owns."""

    name: str
    superuser: bool
    bypasses: bool
    owned: int


class AuditFreshness(Message, frozen=True, kw_only=True):
    """A tenant's audit log (`-`: of no tenant).

    `size` segments are in its tree, whose head was signed at `signed_at` (ISO 8601). `settled` were so a
    while ago. The oldest that waits for its place does so for `waiting` seconds, 0 when none does.
    """

    tenant: str
    size: int
    signed_at: str
    settled: int
    waiting: float


class KeptBackup(Message, frozen=True, kw_only=True):
    """A backup that was registered: when it was made and until when it is kept (ISO 8601)."""

    name: str
    made_at: str
    until: str


class DatabaseEvidence(Message, frozen=True, kw_only=True):
    """What the primary database says of itself.

    `retention` has how long what is kept, as PostgreSQL writes an interval; `oldest_audit` is the time of the
    oldest segment that has its content (ISO 8601), None when there is none.
    """

    tables: list[TableSecurity]
    role: DatabaseRole
    retention: dict[str, str]
    oldest_audit: str | None
    logs: list[AuditFreshness]
    backups: list[KeptBackup]


decoding.learn(globals())
