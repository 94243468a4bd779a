"""The retention of the audit log: a row in the database, which only the schema's owner changes.

`conninfo` is a libpq connection string of the owner to the primary. Functions raise psycopg.Error.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg.types.json import Jsonb

from cortex_runtime.formats.audit import Event, pack
from cortexctl.errors import Refused

ACTOR = "cortexctl"
_READ: LiteralString = """
    select kept::text, now() - %(age)s::interval > now() - kept as shorter from retention where what = 'audit'
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is set, as PostgreSQL writes it, and whether the wanted age is shorter."""

    kept: str
    shorter: bool


def read(conninfo: str, age: str) -> Found:
    """Return what is set, beside what is wanted."""
    with psycopg.connect(conninfo, connect_timeout=5) as connection:
        return _read(connection, age)


def write(conninfo: str, age: str, *, may_shorten: bool) -> None:
    """Set how long the content of audit events is kept, and write that into the audit log, both or neither.

    Raises Refused when it would become shorter and may not.
    """
    with psycopg.connect(conninfo, connect_timeout=5) as connection:
        connection.execute("lock table retention in share row exclusive mode")
        found = _read(connection, age)
        if found.kept == age:
            return
        if found.shorter and not may_shorten:
            raise Refused(
                f"The audit log is kept for {found.kept}, and {age} is shorter.", why="Nobody was asked.",
                todo="Repeat cortexctl up, or mend policies/retention.yaml.",
            )  # fmt: skip
        connection.execute("update retention set kept = %s::interval where what = 'audit'", [age])
        connection.execute("select audit_append(%s)", [_segments(f"{age}, was {found.kept}")])


def _read(connection: psycopg.Connection, age: str) -> Found:
    row = connection.execute(_READ, {"age": age}).fetchone()
    if row is None:
        raise Refused(
            "The database does not say how long audit events are kept.",
            why="The row `audit` of its table `retention` is missing.", todo="Insert it, and run up again.",
        )  # fmt: skip
    return Found(*row)


def _segments(reason: str) -> Jsonb:
    event = Event(
        action="retention.set", actor=ACTOR, reason=reason, request_id=secrets.token_hex(8),
        resource="retention/audit", result="done", time=time.time_ns() // 1_000_000,
    )  # fmt: skip
    return Jsonb([segment.row() for segment in pack(ACTOR, [event])])
