"""Who lives and who owns: heartbeats, and the map of slot owners, both in the primary.

The heartbeat runs in a thread of its own, so that a busy event loop does not look like a death; it
stops when the loop has really stopped, because a node that cannot serve must not look alive either.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from cortex_runtime.changelog.database import Connection, cut, region_of
from cortex_runtime.config import NodeConfig

HEARTBEAT_PERIOD = 0.5
SILENCE = 2.0
FORGOTTEN = 15.0
_TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
_BEAT = f"""
    insert into node (name, region, address, state, usage, heartbeat, timeline)
    values (%s, %s, %s, %s, %s::jsonb, clock_timestamp(), {_TIMELINE})
    on conflict (name) do update set region = excluded.region, address = excluded.address,
        state = excluded.state, usage = excluded.usage, heartbeat = excluded.heartbeat,
        timeline = excluded.timeline
"""  # noqa: S608 - the only thing put in is the constant above  # nosec B608
_MEMBERS = f"""
    select name, region, address, state,
           case when timeline = {_TIMELINE} then extract(epoch from clock_timestamp() - heartbeat)::float8
                else 'infinity' end,
           extract(epoch from clock_timestamp() - heartbeat)::float8, usage,
           (select sum(token) from slot_owner)::bigint
    from node
"""  # noqa: S608  # nosec B608
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the primary knows it.

    `age` is seconds since its heartbeat; `silence` the same, infinite when that is of an earlier timeline.
    `state` is loading, ready or draining. `usage`: requests a second that it was asked, by tenant.
    """

    name: str
    region: str
    address: str
    state: str
    silence: float
    age: float
    usage: dict[str, float] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """True when its heartbeat is recent, and of the primary's present timeline."""
        return self.silence < SILENCE


@dataclass(frozen=True, slots=True)
class View:
    """What this node last saw. `owners[slot]` is (node, token)."""

    members: dict[str, Member] = field(default_factory=dict)
    owners: tuple[tuple[str | None, int], ...] = ()
    primary_region: str | None = None

    def owning_candidates(self) -> tuple[str, ...]:
        """Return who may take slots: the ready nodes of the primary's region, else all ready ones."""
        ready = [member for member in self.members.values() if member.alive and member.state == "ready"]
        near = [member for member in ready if member.region == self.primary_region]
        return tuple(sorted(member.name for member in near or ready))

    def may_own(self, node: str | None, candidates: tuple[str, ...]) -> bool:
        """Tell whether an owner may stay: it lives, and no candidate is nearer to the primary."""
        member = self.members.get(node or "")
        if member is None or not member.alive:
            return False
        near = any(self.members[name].region == self.primary_region for name in candidates)
        return member.region == self.primary_region or not near

    def members_of(self, region: str) -> tuple[str, ...]:
        """Return the nodes of a region that placement counts: all but those gone for long."""
        here = (m for m in self.members.values() if m.region == region and m.age < FORGOTTEN)
        return tuple(sorted(member.name for member in here))


async def observe(connection: Connection, previous: View, config: NodeConfig) -> View:
    """Return the present view, read from the primary. The map of owners is read when it changed."""
    rows = await (await connection.execute(_MEMBERS)).fetchall()
    members = {row[0]: Member(*row[:7]) for row in rows}
    owners = previous.owners
    if not owners or not rows or sum(token for _, token in owners) != rows[0][7]:
        fetched = await connection.execute("select node, token from slot_owner order by slot")
        owners = tuple(await fetched.fetchall())
    return View(members, owners, region_of(connection, config.database))


class Heartbeat:
    """Writes this node's heartbeat, and knows by the monotonic clock when it last succeeded."""

    def __init__(self, config: NodeConfig, conninfo: str) -> None:
        self.state = "loading"
        self.usage: dict[str, float] = {}  # requests a second by tenant, told to the other nodes
        self._config = config
        self._conninfo = conninfo
        self._renewed = float("-inf")
        self._loop_seen = time.monotonic()
        self._beating: tuple[psycopg.Connection[Any] | None, float] = (None, 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating: the other nodes see this one as gone two seconds later."""
        self._stop.set()

    def loop_is_alive(self) -> None:
        """Say that the event loop runs, at least once a second; ends a beat that a frozen primary holds."""
        self._loop_seen = time.monotonic()
        connection, begun = self._beating
        if connection is not None and self._loop_seen - begun > SILENCE:
            cut(connection)

    @property
    def fresh(self) -> bool:
        """True while nobody can hold this node for gone: renewed less than two seconds ago."""
        return time.monotonic() - self._renewed < SILENCE

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._stop.wait(HEARTBEAT_PERIOD):
            if time.monotonic() - self._loop_seen > SILENCE:
                continue
            begun, here = time.monotonic(), self._config
            try:
                if connection is None:
                    connection = psycopg.connect(self._conninfo, autocommit=True)
                    self._beating = connection, time.monotonic()
                    connection.execute("set synchronous_commit = off")
                self._beating = connection, begun
                connection.execute(
                    _BEAT, [here.name, here.region, here.address, self.state, json.dumps(self.usage)]
                )
                self._renewed = begun
            except psycopg.Error as error:
                log.warning("heartbeat failed", error=str(error).strip())
                if connection is not None:
                    connection.close()
                connection = None
            finally:
                self._beating = None, 0.0
        if connection is not None:
            connection.close()
