"""The database of the change log."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from unit import postgres


@pytest.fixture(scope="session")
def database_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of a migrated database on 127.0.0.1 that trusts everybody."""
    with postgres.running(tmp_path_factory.mktemp("postgres")) as port:
        yield port


@pytest.fixture
def database(database_port: int) -> Iterator[psycopg.Connection]:
    """Return an autocommitting connection of the application's role; the tables are empty."""
    with psycopg.connect(
        f"host=127.0.0.1 port={database_port} user=postgres dbname=cortexkg", autocommit=True
    ) as superuser:
        superuser.execute(
            "truncate change, cortex, concept, relationship, idempotency, slot_head, audit_segment, node,"
            " tenant, tenant_quota, identity_provider, api_key, data_key, key_proof, denied"
        )
        superuser.execute("update slot_owner set node = null, token = 0")
    with psycopg.connect(
        f"host=127.0.0.1 port={database_port} user=cortex dbname=cortexkg", autocommit=True
    ) as connection:
        yield connection
