"""What the tests of keys look at: every row of the database, opened by the keyring alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import psycopg

from cortex_runtime.changelog.entries import answer_place, change_place, concept_place, relationship_place
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.envelope import key_version_of
from cortex_runtime.security.keyring import KeyringFile
from unit.server.node import Node

PATIENCE = 60.0


def eventually(check: Callable[[], Any], node: Node) -> Any:
    """Return what `check` returns once that is true."""
    until = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < until, node.log[-3000:]
        time.sleep(0.1)
    return found


def database(node: Node) -> psycopg.Connection:
    """Return a superuser's connection to a node's database."""
    return psycopg.connect(
        host="127.0.0.1", port=node.database_port, user="postgres", dbname="cortexkg", autocommit=True
    )


def fill(node: Node, cortex: str, concepts: int, tenant: str = "acme") -> None:
    """Put concepts, each with a relationship."""
    for start in range(0, concepts, 500):
        operations = [
            {
                "op": "put", "id": f"c{n}", "text": f"word{n} thing{n % 7}",
                "relationships": [{"type": "next", "target": f"c{n + 1}"}],
            }
            for n in range(start, min(start + 500, concepts))
        ]  # fmt: skip
        node.ask("POST", "batch", {"operations": operations}, tenant=tenant, cortex=cortex)


def rotate(node: Node, tenant: str = "acme") -> int:
    """Rotate a tenant's data key, and return its version; resumes what was begun."""
    path = f"/v1/tenants/{tenant}/keys"
    version: int = node.operator("POST", path)["version"]
    node.operator("POST", f"{path}/{version}/prove")
    node.operator("POST", f"{path}/{version}/activate")
    return version


def states(node: Node, tenant: str = "acme") -> dict[int, str]:
    """Return the states of the versions."""
    return {key["version"]: key["state"] for key in node.operator("GET", f"/v1/tenants/{tenant}/keys")}


def ledger(node: Node, tenant: str = "acme") -> dict[tuple[int, str], int]:
    """Return what the ledger says."""
    entries = node.operator("GET", f"/v1/tenants/{tenant}/keys/ledger")
    return {(entry["version"], entry["part"]): entry["uses"] for entry in entries}


def age(node: Node, tenant: str = "acme") -> None:
    """Let a day pass for changes and answers."""
    with database(node) as connection:
        connection.execute("delete from change where tenant = %s", [tenant])
        connection.execute("delete from idempotency where tenant = %s", [tenant])


def check_everything(node: Node, *, but: int = 0) -> dict[int, int]:
    """Open every row of every table with the keyring, and see that the states and counters agree.

    Returns the number of acme's concepts and relationships by version. `but` rows are damaged.
    """
    directory = Directory(KeyringFile(node.directory / "keyring.json"))
    asyncio.run(_refresh(directory, node))
    shut, found = 0, dict[int, int]()
    with database(node) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        for place, sealed, tenant in _rows(connection):
            try:
                directory.unseal(place, sealed)
            except ValueError:
                shut += 1
                continue
            version = key_version_of(sealed)
            state = directory.tenants[tenant].data_keys[version].state
            assert state in ("ACTIVE", "DECRYPT_ONLY", "RETIRING"), (place, state)
            if tenant == "acme" and place.table in ("concept", "relationship"):
                found[version] = found.get(version, 0) + 1
        counted = connection.execute(
            "select version, sum(rows)::int from key_rows where tenant = 'acme' group by 1"
            " having sum(rows) > 0"
        ).fetchall()
    assert shut == but
    assert but or found == dict(counted)
    for tenant, entry in directory.tenants.items():
        assert [key.state for key in entry.data_keys.values()].count("ACTIVE") == 1, tenant
        assert all(directory.opens(tenant, key) for key in entry.data_keys.values() if key.usable)
    return found


def reopen(node: Node) -> None:
    """Rewrite the keyring's file as it is, so that what was cached of it is read anew."""
    path = node.directory / "keyring.json"
    path.write_text(json.dumps(json.loads(path.read_text())))


async def _refresh(directory: Directory, node: Node) -> None:
    conninfo = f"host=127.0.0.1 port={node.database_port} user=postgres dbname=cortexkg"
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await directory.refresh(connection)


def _rows(connection: psycopg.Connection) -> list[Any]:
    found = [
        (concept_place(tenant, id_, operation), entry, tenant)
        for tenant, id_, operation, entry in connection.execute(
            "select tenant, id, operation, entry from concept"
        )
    ]
    found += [
        (relationship_place(tenant, edge), entry, tenant)
        for tenant, edge, entry in connection.execute(
            "select tenant, source || type || target, entry from relationship"
        )
    ]
    found += [
        (change_place(tenant, cortex, slot, seq), entry, tenant)
        for tenant, cortex, slot, seq, entry in connection.execute(
            "select tenant, cortex, slot, seq, entry from change"
        )
    ]
    found += [
        (answer_place(tenant, key), answer, tenant)
        for tenant, key, answer in connection.execute("select tenant, key, answer from idempotency")
    ]
    return found
