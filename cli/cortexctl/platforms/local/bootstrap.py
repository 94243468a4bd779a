"""Patroni's post_bootstrap: the schema, by the runtime, then the password of the application's role.

Runs in the region's directory; the conninfo comes last, its password by PGPASSFILE.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

ROLE = "cortex"


def main(conninfo: str) -> None:
    """Make database, schema and roles. Raises psycopg.Error, or CalledProcessError."""
    subprocess.run([sys.executable, "-P", "-m", "cortex_runtime.main", "migrate", conninfo], check=True)
    password = Path(f"secrets/{ROLE}.pgpass").read_text().strip().rpartition(":")[2]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        # Hashed here, so that no log of the server ever has it.
        secret = connection.pgconn.encrypt_password(
            password.encode(), ROLE.encode(), b"scram-sha-256"
        ).decode()
        statement = sql.SQL("alter role {} password {}").format(sql.Identifier(ROLE), sql.Literal(secret))
        connection.execute(statement)


if __name__ == "__main__":
    main(sys.argv[-1])
