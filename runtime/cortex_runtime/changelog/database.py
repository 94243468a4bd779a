"""Connections to the database: to whichever instance is the primary, and to this region's own.

A pool that backs off for seconds after a failure would lengthen every failover, and one that cancels
what timed out would have an append answer "done" that is not: so connections are opened at once when
needed, and one whose call timed out is cut at the socket and never used again.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from cortex_runtime.config import DatabaseConfig

Connection = psycopg.AsyncConnection[Any]
CONNECT_TIMEOUT = 2
EVERY = "*"  # tenant


class Unavailable(Exception):
    """The connection broke, or took too long: what ran on it may or may not have happened."""


class NotConnected(Unavailable):
    """There was no connection: nothing has happened."""


class Database:
    """Few connections, kept open, to one kind of instance."""

    def __init__(self, conninfo: str, *, size: int) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(size)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Connection]:
        """Lend a connection (autocommit) for at most `timeout` seconds; it is waited for as long.

        When the time is over the connection is cut, and what runs on it raises Unavailable. So does a
        warning: a commit that stops waiting for its quorum answers as if done, and says so by that alone.
        """
        connection = await self._acquire(timeout)
        try:
            async with self._lent(connection, timeout):
                yield connection
        finally:
            self._slots.release()

    @asynccontextmanager
    async def _lent(self, connection: Connection, timeout: float) -> AsyncIterator[None]:
        alarm = asyncio.get_running_loop().call_later(timeout, cut, connection)
        warnings: list[str] = []
        handler = partial(_note, warnings)
        connection.add_notice_handler(handler)
        try:
            yield
            if warnings:
                cut(connection)
                raise Unavailable("; ".join(warnings))
        except psycopg.Error as error:
            if connection.closed or error.diag.severity_nonlocalized in ("FATAL", "PANIC"):
                raise Unavailable(str(error).strip() or type(error).__name__) from error
            raise
        finally:
            connection.remove_notice_handler(handler)
            alarm.cancel()
            if _usable(connection):
                self._idle.append(connection)
            else:
                _drop(connection)

    def _pop(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if _usable(connection) and not _ended(connection):
                return connection
            _drop(connection)
        return None

    async def _acquire(self, timeout: float) -> Connection:
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise NotConnected("all connections are in use") from None
        try:
            async with asyncio.timeout(timeout):
                return self._pop() or await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        except BaseException as error:
            self._slots.release()
            if isinstance(error, TimeoutError | psycopg.Error):
                raise NotConnected(str(error).strip() or "no instance answers") from error
            raise


@asynccontextmanager
async def about(database: Database, timeout: float, tenant: str) -> AsyncIterator[Connection]:
    """Lend a connection in a transaction that sees the rows of one tenant, or of EVERY one.

    Of the tables with row-level security (schema/isolation.sql) any other connection sees nothing.
    """
    async with database.connection(timeout) as connection, connection.transaction():
        await say_about(connection, tenant)
        yield connection


async def say_about(connection: Connection, tenant: str) -> None:
    """Say which tenant a connection's transaction is about, until its end."""
    await connection.execute("select set_config('cortexkg.tenant', %s, true)", [tenant])


def primary_conninfo(config: DatabaseConfig, application: str) -> str:
    """Return a connection string that finds the primary among all instances."""
    hosts = config.hosts
    return make_conninfo(
        **_common(config, application),
        host=",".join(host.host for host in hosts),
        port=",".join(str(host.port) for host in hosts),
        target_session_attrs="read-write",
    )


def local_conninfo(config: DatabaseConfig, region: str, application: str) -> str:
    """Return a connection string of a region's own instance."""
    here = next(host for host in config.hosts if host.region == region)
    return make_conninfo(**_common(config, application), host=here.host, port=str(here.port))


def region_of(connection: Connection | psycopg.Connection[Any], config: DatabaseConfig) -> str | None:
    """Return the region of the instance that a connection reached."""
    for host in config.hosts:
        if (host.host, host.port) == (connection.info.host, connection.info.port):
            return host.region
    return None


def cut(connection: Connection | psycopg.Connection[Any]) -> None:
    """End what runs on a connection without asking the server to cancel it.

    The socket is shut down, not closed: the descriptor stays ours until psycopg has noticed.
    """
    with suppress(OSError, psycopg.Error):  # it may be closing in another thread
        if not connection.closed:
            with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)


def _common(config: DatabaseConfig, application: str) -> dict[str, str]:
    common = {
        "dbname": config.name, "user": config.user, "application_name": application,
        "connect_timeout": str(CONNECT_TIMEOUT), "tcp_user_timeout": "3000",
        # The password never travels, nor anything that gives it away.
        "require_auth": "scram-sha-256" if config.passfile else "none",
        "sslmode": "verify-full" if config.tls else "disable",
    }  # fmt: skip
    if config.passfile:
        common["passfile"] = str(config.passfile)
    if config.tls:
        common |= {
            "sslrootcert": str(config.tls.ca),
            "sslcert": str(config.tls.certificate),
            "sslkey": str(config.tls.key),
        }
    return common


def _note(warnings: list[str], diagnostic: psycopg.errors.Diagnostic) -> None:
    if diagnostic.severity_nonlocalized == "WARNING":
        warnings.append(diagnostic.message_primary or "warning")


def _usable(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def _ended(connection: Connection) -> bool:
    # An idle connection has nothing to say; what can be read is its end, or a notice of it.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _drop(connection: Connection) -> None:
    if not connection.closed:
        connection.pgconn.finish()
