"""Makes the database: roles, database, schema. Patroni runs it once, on the first primary."""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg import sql

DATABASE = "cortexkg"
APPLICATION_ROLE = "cortex"
# In this order, as the superuser; every statement may be repeated.
SCHEMA = ("changes", "tenants", "keys", "audit", "append", "upkeep", "erasures", "isolation", "rights")


def migrate(conninfo: str) -> None:
    """Bring the database to the schema of this version. May be repeated. Raises psycopg.Error.

    `conninfo` is a libpq connection string of a superuser, to any database of the cluster.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        # Replication waits for standbys that cannot exist before this is done.
        connection.execute("set synchronous_commit = local")
        _ensure_role(connection)
        known = connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone()
        if known is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    with psycopg.connect(conninfo, dbname=DATABASE) as connection:
        connection.execute("set local synchronous_commit = local")
        for part in SCHEMA:
            connection.execute(files(__package__).joinpath("schema", f"{part}.sql").read_bytes())


def _ensure_role(connection: psycopg.Connection) -> None:
    role = sql.Identifier(APPLICATION_ROLE)
    known = connection.execute("select from pg_roles where rolname = %s", [APPLICATION_ROLE]).fetchone()
    if known is None:
        connection.execute(sql.SQL("create role {} login").format(role))
    # An owner frozen inside a transaction would block a take-over for good.
    connection.execute(sql.SQL("alter role {} set idle_in_transaction_session_timeout = '1s'").format(role))
    connection.execute(sql.SQL("alter role {} set search_path = public").format(role))
