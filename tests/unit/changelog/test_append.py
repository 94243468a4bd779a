"""The append function on a real PostgreSQL: fencing, order, exactly once, all or nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from cortex_runtime.changelog.migrate import migrate
from cortex_runtime.changelog.plan import Plan
from cortex_runtime.formats.audit import pack
from cortex_runtime.security.audit import event, rows

SLOT, NODE = 5, "eu-west-1"


def own(database: psycopg.Connection, token: int = 1) -> None:
    database.execute("set cortexkg.tenant = '*'")
    database.execute("update slot_owner set node = %s, token = %s where slot = %s", [NODE, token, SLOT])
    database.execute(
        "insert into tenant (name, tier, keyring_generation, kek_version, index_key)"
        " values ('acme', 'free', 1, 1, '') on conflict do nothing"
    )
    database.execute("insert into tenant_quota values ('acme', 3, 2, 100, 10) on conflict do nothing")
    database.execute(
        "insert into data_key (tenant, version, state, kek_version, wrapped, check_value)"
        " values ('acme', 1, 'ACTIVE', 1, '', '') on conflict do nothing"
    )


def append(
    database: psycopg.Connection, *, seq: int = 0, digest: bytes = b"",
    entries: tuple[bytes, ...] = (b"entry",), ids: tuple[bytes, ...] = (b"a" * 16,),
    key: bytes | None = None, token: int = 1, version: int = 1, columns: int = 1,
) -> bytes:  # fmt: skip
    count = len(entries)
    sealed = b"\0\1" + version.to_bytes(4, "big") + b"..."
    keys = [] if key is None else [key]
    done = event(tenant="acme", actor="key:1", action="batch", resource="main", result="done", request_id="r")
    parameters: list[Any] = [
        SLOT, NODE, token, seq, digest, ["acme"] * count, ["main"] * count, [1] * count, [columns] * count,
        list(entries),
        Jsonb([{"tenant": "acme", "version": version}]),
        [1] * len(ids), list(ids), [0] * len(ids), [1] * len(ids), [sealed] * len(ids),
        [], [], [], [], [], [], [], [],
        ["acme"] * len(keys), keys, [b"mac"] * len(keys), [b"answer"] * len(keys),
        rows(pack(NODE, [done])),
    ]  # fmt: skip
    row = database.execute(Plan.statement, parameters).fetchone()
    assert row is not None
    return bytes(row[0])


def count(database: psycopg.Connection, table: str) -> int:
    row = database.execute(
        psycopg.sql.SQL("select count(*) from {}").format(psycopg.sql.Identifier(table))
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_owner_appends_and_the_digest_is_chained(database: psycopg.Connection) -> None:
    own(database)
    first = append(database)
    assert first == hashlib.sha256(b"entry").digest()
    second = append(database, seq=1, digest=first, entries=(b"x", b"y"), ids=(b"b" * 16,))
    assert second == hashlib.sha256(hashlib.sha256(first + b"x").digest() + b"y").digest()
    rows = database.execute("select seq, token, digest from change order by seq").fetchall()
    assert [row[0] for row in rows] == [1, 2, 3]
    assert rows[-1][2] == second
    assert (count(database, "concept"), count(database, "audit_segment")) == (2, 2)


def test_a_node_that_does_not_own_the_slot_is_refused(database: psycopg.Connection) -> None:
    own(database)
    database.execute("update slot_owner set node = 'us-east-1', token = 2 where slot = %s", [SLOT])
    with pytest.raises(psycopg.Error) as refusal:
        append(database)
    assert refusal.value.sqlstate == "CX001"
    assert count(database, "change") == count(database, "concept") == count(database, "audit_segment") == 0


def test_a_stale_token_is_refused(database: psycopg.Connection) -> None:
    own(database, token=2)
    with pytest.raises(psycopg.Error) as refusal:
        append(database, token=1)
    assert refusal.value.sqlstate == "CX001"


@pytest.mark.parametrize(("seq", "digest"), [(1, b""), (0, b"other")])
def test_an_append_behind_another_head_is_refused(
    database: psycopg.Connection, seq: int, digest: bytes
) -> None:
    own(database)
    with pytest.raises(psycopg.Error) as refusal:
        append(database, seq=seq, digest=digest)
    assert refusal.value.sqlstate == "CX002"


def test_an_idempotency_key_works_once_and_leaves_nothing_the_second_time(
    database: psycopg.Connection,
) -> None:
    own(database)
    digest = append(database, key=b"k")
    with pytest.raises(errors.UniqueViolation):
        append(database, seq=1, digest=digest, ids=(b"b" * 16,), key=b"k")
    assert (count(database, "change"), count(database, "concept"), count(database, "audit_segment")) == (
        1,
        1,
        1,
    )


def test_a_key_version_that_is_not_the_active_one_is_refused(database: psycopg.Connection) -> None:
    own(database)
    with pytest.raises(psycopg.Error) as refusal:
        append(database, version=2)
    assert refusal.value.sqlstate == "CX003"
    database.execute("update data_key set state = 'DECRYPT_ONLY'")
    with pytest.raises(psycopg.Error) as refusal:
        append(database)
    assert refusal.value.sqlstate == "CX003"


def test_another_version_becomes_active_only_after_the_appends_in_flight(
    database: psycopg.Connection, database_port: int
) -> None:
    own(database)
    alone = "select pg_advisory_xact_lock(hashtext('keys'), hashtext(%s))"
    with psycopg.connect(f"host=127.0.0.1 port={database_port} user=cortex dbname=cortexkg") as in_flight:
        append(in_flight)
        database.execute("set lock_timeout = '200ms'")
        with pytest.raises(errors.LockNotAvailable):
            database.execute(alone, ["acme"])
        database.execute(alone, ["other"])  # no other tenant waits
        in_flight.commit()
    database.execute(alone, ["acme"])


def test_taking_a_slot_waits_for_an_append_in_flight(
    database: psycopg.Connection, database_port: int
) -> None:
    own(database)
    with psycopg.connect(f"host=127.0.0.1 port={database_port} user=cortex dbname=cortexkg") as frozen:
        append(frozen)
        database.execute("set lock_timeout = '200ms'")
        with pytest.raises(errors.LockNotAvailable):
            database.execute("update slot_owner set token = token + 1 where slot = %s", [SLOT])
        frozen.commit()
    database.execute("update slot_owner set token = token + 1 where slot = %s", [SLOT])


def test_an_owner_frozen_inside_a_transaction_is_ended_by_the_database(
    database: psycopg.Connection, database_port: int
) -> None:
    own(database)
    frozen = psycopg.connect(f"host=127.0.0.1 port={database_port} user=cortex dbname=cortexkg")
    append(frozen)
    database.execute("update slot_owner set token = token + 1 where slot = %s", [SLOT])
    with pytest.raises(errors.IdleInTransactionSessionTimeout):
        frozen.execute("select 1")
    assert count(database, "change") == 0


@pytest.mark.parametrize(
    "table", ["change", "concept", "relationship", "idempotency", "slot_head", "cortex", "audit_segment"]
)
def test_the_application_cannot_write_around_the_append(database: psycopg.Connection, table: str) -> None:
    for verb in ("delete from {}", "truncate {}"):
        with pytest.raises(errors.InsufficientPrivilege):
            database.execute(psycopg.sql.SQL(verb).format(psycopg.sql.Identifier(table)))


def test_the_schema_may_be_made_again_over_what_is_there(
    database: psycopg.Connection, database_port: int
) -> None:
    own(database)
    append(database)
    migrate(f"host=127.0.0.1 port={database_port} user=postgres dbname=postgres")
    assert (count(database, "concept"), count(database, "audit_segment")) == (1, 1)
