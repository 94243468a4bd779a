"""Versions of data keys on a real node: what is re-encrypted, counted and retired, and what is refused."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import count

import httpx
import psycopg
import pytest

from unit import postgres
from unit.server.keys import age, check_everything, database, eventually, fill, ledger, rotate, states
from unit.server.node import Node, running

_numbers = count()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node of these tests alone: they change the versions of its tenants' keys."""
    with (
        postgres.running(tmp_path_factory.mktemp("postgres")) as port,
        running(tmp_path_factory.mktemp("node"), port) as made,
    ):
        yield made


@pytest.fixture
def cortex() -> str:
    return f"keys-{next(_numbers)}"


CHANGES = ("key.make", "key.prove", "key.rotate", "key.retire")
FURTHER = (*(f"{change}:committed" for change in CHANGES), "reencrypt:sealed")
STEPS = [
    *(f"{change}:uncommitted" for change in CHANGES),
    "reencrypt:rewritten",
    *(pytest.param(step, marks=pytest.mark.exhaustive) for step in FURTHER),
]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_node_killed_at_any_step_is_followed_by_one_that_goes_on(
    node: Node, cortex: str, step: str
) -> None:
    fill(node, cortex, 300)
    node.stop()
    node.start(step)
    assert node.process is not None
    old = version_of(node)
    try:
        version = rotate(node)
        eventually(lambda: states(node)[old] == "RETIRING", node)
        age(node)
        eventually(lambda: retired(node, old)[0] == 200, node)
    except httpx.TransportError:  # it is gone
        assert node.process.wait(10) == -signal.SIGKILL
    else:
        pytest.fail("it was not killed")
    assert len(check_everything(node)) <= 2
    node.start()
    version = rotate(node) if version_of(node) == old else version_of(node)
    assert version == old + 1
    eventually(lambda: set(check_everything(node)) == {version}, node)
    eventually(lambda: states(node)[old] != "DECRYPT_ONLY", node)
    age(node)
    eventually(lambda: retired(node, old) == (200, "DESTROYED"), node)
    check_everything(node)


def retired(node: Node, version: int, tenant: str = "acme") -> tuple[int, str]:
    answer = node.as_operator("POST", f"/v1/tenants/{tenant}/keys/{version}/retire")
    body = answer.json()
    return answer.status_code, body["error"]["message"] if "error" in body else body["state"]


def test_after_a_rotation_every_row_is_sealed_anew_and_reads_stay_right(node: Node, cortex: str) -> None:
    fill(node, cortex, 450)
    before = node.ask("GET", "concepts/c7", cortex=cortex)
    version = rotate(node)
    assert node.ask("PUT", "concepts/new", {"text": "new"}, cortex=cortex)["results"]
    assert node.ask("GET", "concepts/new", cortex=cortex)["key_version"] == version
    eventually(lambda: set(check_everything(node)) == {version}, node)
    after = node.ask("GET", "concepts/c7", cortex=cortex)
    assert after == {**before, "key_version": version}
    sealed = {part: uses for (of, part), uses in ledger(node).items() if of == version}
    assert sealed["concept"] >= 451
    assert sealed["relationship"] >= 450


def test_a_version_is_destroyed_only_when_nothing_needs_it(node: Node, cortex: str) -> None:
    fill(node, cortex, 30)
    old, version = version_of(node), rotate(node)
    status, message = retired(node, version)
    assert (status, message) == (409, f"Version {version} is ACTIVE: rotate first.")
    eventually(lambda: states(node)[old] == "RETIRING", node)
    status, message = retired(node, old)
    assert status == 409
    assert "change" in message
    assert "idempotency" in message
    age(node)
    with database(node) as connection:
        connection.execute("insert into backup (name, until) values ('kept', now() + interval '1 hour')")
        connection.execute("insert into backup_key values ('kept', 'acme', %s, 1)", [old])
    eventually(lambda: "snapshots" not in retired(node, old)[1], node)
    assert retired(node, old) == (409, f"Version {old} is still needed: 1 backup.")
    with database(node) as connection:
        connection.execute("update backup set until = now() - interval '1 second'")
    assert retired(node, old) == (200, "DESTROYED")
    assert retired(node, old) == (200, "DESTROYED")
    with database(node) as connection:
        row = connection.execute(
            "select wrapped, check_value, destroyed_at is not null from data_key"
            " where tenant = 'acme' and version = %s", [old],
        ).fetchone()  # fmt: skip
    assert row == (b"", b"", True)
    events = node.operator("GET", "/v1/audit?action=key.retire&result=done&tenant=acme")
    assert events[0]["resource"] == str(old)
    check_everything(node)


def version_of(node: Node) -> int:
    return next(version for version, state in states(node).items() if state == "ACTIVE")


def test_how_often_a_version_has_sealed_is_told(node: Node, cortex: str) -> None:
    version = rotate(node)
    fill(node, cortex, 100)

    def seals() -> int:
        found = node.operator("GET", "/v1/tenants/acme/keys")
        return next(int(key["seals"]) for key in found if key["version"] == version)

    assert eventually(seals, node) >= 200  # each concept and its relationship; a change, an answer


def test_a_snapshot_that_a_node_tells_of_keeps_its_version(node: Node, cortex: str) -> None:
    fill(node, cortex, 10)
    old, _ = version_of(node), rotate(node)
    eventually(lambda: states(node)[old] == "RETIRING", node)
    age(node)
    with database(node) as connection:
        connection.execute("update key_use_told set at = now() + interval '1 minute'")
        connection.execute("insert into key_use values ('eu-west-1', 'acme', %s, 2)", [old])
        assert retired(node, old) == (409, f"Version {old} is still needed: 2 snapshot.")
        connection.execute("delete from key_use")
        connection.execute("update key_use_told set at = now() - interval '2 minutes'")
        assert "snapshots that eu-west-1 may have" in retired(node, old)[1]


def test_a_version_that_is_not_active_is_refused_by_the_database(node: Node, cortex: str) -> None:
    """An old node goes on with the version that it knows: whatever it writes, a mere deletion too."""
    fill(node, cortex, 3)
    with database(node) as connection:
        slot, owner, token = connection.execute(
            "select slot, node, token from slot_owner join cortex using (slot) where name = %s", [cortex]
        ).fetchone() or (0, "", 0)
        id_, operation, entry = connection.execute(
            "select id, operation, entry from concept where cortex = %s limit 1", [cortex]
        ).fetchone() or (b"", 0, b"")
        version = rotate(node)
        words = (
            "select reencrypt(%s::smallint, %s, %s, 'acme', %s, %s::bytea[], %s::bigint[], %s::bytea[],"
            " '{}', '{}', '{}')"
        )
        for claimed in (version - 1, version):
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(words, [slot, owner, token, claimed, [id_], [operation], [entry]])
            assert refusal.value.sqlstate == "CX003"
        with pytest.raises(psycopg.Error) as refusal:
            connection.execute(words, [slot, owner, token - 1, version, [id_], [operation], [entry]])
        assert refusal.value.sqlstate == "CX001"


def test_a_row_that_was_written_meanwhile_is_left_alone(node: Node, cortex: str) -> None:
    fill(node, cortex, 1)
    with database(node) as connection:
        slot, owner, token = connection.execute(
            "select slot, node, token from slot_owner join cortex using (slot) where name = %s", [cortex]
        ).fetchone() or (0, "", 0)
        id_, operation = connection.execute(
            "select id, operation from concept where cortex = %s", [cortex]
        ).fetchone() or (b"", 0)
        version = rotate(node)
        node.ask("PUT", "concepts/c0", {"text": "newer"}, cortex=cortex)
        stale = b"\0\1" + version.to_bytes(4, "big") + bytes(80)
        words = (
            "select reencrypt(%s::smallint, %s, %s, 'acme', %s, %s::bytea[], %s::bigint[], %s::bytea[],"
            " '{}', '{}', '{}')"
        )
        row = connection.execute(words, [slot, owner, token, version, [id_], [operation], [stale]]).fetchone()
    assert row == (0,)
    assert node.ask("GET", "concepts/c0", cortex=cortex)["text"] == "newer"


def test_a_rotation_waits_for_an_append_in_flight(node: Node, cortex: str) -> None:
    """Else a row could come under a version after everybody has counted that there is none."""
    path = "/v1/tenants/acme/keys"
    version = node.operator("POST", path)["version"]
    node.operator("POST", f"{path}/{version}/prove")
    with psycopg.connect(f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg") as append:
        append.execute("select pg_advisory_xact_lock_shared(hashtext('keys'), hashtext('acme'))")
        begun = time.monotonic()
        answer = node.as_operator("POST", f"{path}/{version}/activate")
        assert answer.status_code == 503
        assert time.monotonic() - begun > 1
        assert states(node)[version] == "PENDING"
    assert rotate(node) == version
    assert states(node)[version] == "ACTIVE"
