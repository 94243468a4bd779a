"""What a real node's database says of its security and retention, and that asking is audited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cortex_runtime.server import compliance
from unit.server.node import Node, eventually


@contextmanager
def owner(node: Node) -> Iterator[psycopg.Connection]:
    conninfo = f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def test_row_level_security_is_told_as_it_is(node: Node) -> None:
    def told() -> dict[str, tuple[bool, bool, int]]:
        found = node.operator("GET", "/v1/compliance")
        return {
            each["table"]: (each["enabled"], each["forced"], each["policies"]) for each in found["tables"]
        }

    assert told()["api_key"] == (True, True, 1)
    assert told()["concept"] == (False, False, 0)
    with owner(node) as connection:
        connection.execute("alter table api_key no force row level security")
        try:
            assert told()["api_key"] == (True, False, 1)
        finally:
            connection.execute("alter table api_key force row level security")


def test_the_role_of_the_nodes_owns_nothing_and_is_bound(node: Node) -> None:
    role = node.operator("GET", "/v1/compliance")["role"]
    assert role == {"name": "cortex", "superuser": False, "bypasses": False, "owned": 0}


def test_retention_backups_and_the_freshness_of_the_logs(node: Node) -> None:
    with owner(node) as connection:
        connection.execute("insert into backup (name, until) values ('kept', now() + interval '1 day')")
        connection.execute("insert into backup (name, until) values ('over', now() - interval '1 day')")
        try:
            found = node.operator("GET", "/v1/compliance")
        finally:
            connection.execute("delete from backup")
    assert found["retention"] == {"audit": "7 years"}
    assert [each["name"] for each in found["backups"]] == ["kept"]
    assert found["oldest_audit"]


def test_how_fresh_each_log_is(node: Node) -> None:
    def log(settled: int) -> dict[str, float]:
        logs = node.operator("GET", f"/v1/compliance?settled={settled}")["logs"]
        found: dict[str, float] = next(each for each in logs if each["tenant"] == "acme")
        return found

    now = eventually(lambda: log(0))
    assert 0 < now["settled"] <= now["size"]
    assert log(86_400)["settled"] == 0
    assert node.as_operator("GET", "/v1/compliance?settled=-1").status_code == 400


def test_a_segment_that_waits_for_its_place_is_told(node: Node) -> None:
    eventually(lambda: next(each for each in node.operator("GET", "/v1/compliance")["logs"]))
    with owner(node) as connection, connection.transaction(force_rollback=True):  # so that none gives it one
        connection.execute(
            "insert into audit_segment (id, tenant, node, at, first_time, last_time, events, hash) values"
            " (gen_random_uuid(), 'acme', 'x', now() - interval '1 hour', now(), now(), 1, sha256('x'))"
        )
        waiting = {row[0]: row[4] for row in connection.execute(compliance.LOGS, [180])}
    assert waiting["acme"] > 3000


def test_asking_is_written_down_and_no_tenants_business(node: Node) -> None:
    answer = node.as_operator("GET", "/v1/compliance")
    path = f"/v1/audit?request_id={answer.headers['x-request-id']}"

    written = eventually(lambda: node.operator("GET", path)[0])
    assert (written["action"], written["result"], written["tenant"]) == ("compliance.evidence", "done", None)
    assert node.get_raw("/v1/compliance").status_code == 403
