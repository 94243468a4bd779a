"""Row-level security: what a transaction is not about it does not see, whatever its queries forget."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from unit.server.node import Node

TABLES = (
    "tenant",
    "tenant_quota",
    "api_key",
    "identity_provider",
    "shown_once",
    "denied",
    "data_key",
    "key_proof",
    "audit_segment",
    "audit_tree",
    "audit_subtree",
    "audit_checkpoint",
)


@pytest.fixture
def node(database: psycopg.Connection, database_port: int) -> Iterator[psycopg.Connection]:
    """A connection of the nodes' role, to a database with two tenants."""
    with psycopg.connect(
        f"host=127.0.0.1 port={database_port} user=postgres dbname=cortexkg", autocommit=True
    ) as superuser:
        for name in ("acme", "other"):
            superuser.execute(
                "insert into tenant (name, tier, keyring_generation, kek_version, index_key)"
                " values (%s, 'free', 1, 1, '')", [name],
            )  # fmt: skip
            superuser.execute("insert into tenant_quota values (%s, 1, 1, 1, 1)", [name])
            superuser.execute("insert into api_key values (%s, 'id', '', 'admin')", [name])
            superuser.execute("insert into identity_provider values (%s, '', '', '', '{}', '')", [name])
            superuser.execute("insert into shown_once values (%s, %s, now())", [name.encode(), name])
            superuser.execute("insert into denied values (%s, %s, now())", [name, name])
            superuser.execute(
                "insert into data_key (tenant, version, state, kek_version, wrapped, check_value)"
                " values (%s, 1, 'ACTIVE', 1, '', '')", [name],
            )  # fmt: skip
            superuser.execute("insert into key_proof (tenant, version, region) values (%s, 1, 'r')", [name])
            audited(superuser, name)
        yield database
        superuser.execute("truncate shown_once, audit_segment, audit_tree, audit_subtree, audit_checkpoint")


def audited(superuser: psycopg.Connection, tenant: str) -> None:
    superuser.execute(
        "insert into audit_segment (id, tenant, node, first_time, last_time, events, hash)"
        " values (gen_random_uuid(), %s, 'n', now(), now(), 1, '')", [tenant],
    )  # fmt: skip
    superuser.execute("insert into audit_tree values (%s, 1, 1, '')", [tenant])
    superuser.execute("insert into audit_subtree values (%s, 1, 0, '')", [tenant])
    superuser.execute("insert into audit_checkpoint (tenant, size, note) values (%s, 1, '')", [tenant])


def seen(node: psycopg.Connection, about: str | None, table: str) -> int:
    with node.transaction():
        if about is not None:
            node.execute("select set_config('cortexkg.tenant', %s, true)", [about])
        query = psycopg.sql.SQL("select count(*) from {}").format(psycopg.sql.Identifier(table))
        row = node.execute(query).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("table", TABLES)
def test_a_query_without_a_filter_sees_its_own_tenant_alone(node: psycopg.Connection, table: str) -> None:
    assert [seen(node, about, table) for about in (None, "", "acme", "nobody", "*")] == [0, 0, 1, 0, 2]


def test_the_log_of_no_tenant_is_not_for_who_says_nothing(
    node: psycopg.Connection, database_port: int
) -> None:
    with psycopg.connect(f"host=127.0.0.1 port={database_port} user=postgres dbname=cortexkg") as superuser:
        audited(superuser, "")
    assert [seen(node, about, "audit_segment") for about in (None, "", "acme", "-", "*")] == [0, 0, 1, 1, 3]


def test_every_table_that_has_tenants_keys_is_guarded(node: psycopg.Connection) -> None:
    rows = node.execute(
        "select relname from pg_class where relforcerowsecurity and relrowsecurity"
    ).fetchall()
    assert {row[0] for row in rows} == set(TABLES)


def test_what_was_said_ends_with_the_transaction(node: psycopg.Connection) -> None:
    assert seen(node, "*", "tenant") == 2
    assert seen(node, None, "tenant") == 0


def test_nothing_of_another_tenant_can_be_written_or_taken(node: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), node.transaction():
        node.execute("select set_config('cortexkg.tenant', 'acme', true)")
        node.execute("insert into api_key (tenant, id, hash, role) values ('other', 'mine', '', 'admin')")
    with node.transaction():
        node.execute("select set_config('cortexkg.tenant', 'acme', true)")
        assert node.execute("update tenant set state = 'gone' where name = 'other'").rowcount == 0
        assert node.execute("delete from api_key").rowcount == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege), node.transaction():
        node.execute("select set_config('cortexkg.tenant', 'acme', true)")
        node.execute("update tenant_quota set tenant = 'other'")


def test_the_nodes_role_cannot_put_the_guard_aside(node: psycopg.Connection) -> None:
    for statement in (
        "alter table tenant disable row level security",
        "drop policy own on tenant",
        "set role postgres",
        "alter role cortex bypassrls",
    ):
        with pytest.raises(psycopg.Error):
            node.execute(statement)


def test_a_node_does_not_start_as_a_superuser(database_port: int, tmp_path: Path) -> None:
    made = Node(tmp_path, database_port)
    made.prepare()
    path = tmp_path / "node.json"
    config = json.loads(path.read_text())
    config["database"]["user"] = "postgres"
    path.write_text(json.dumps(config))
    words = [sys.executable, "-P", "-m", "cortex_runtime.main", "serve", str(path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "row-level security" in ended.stdout
