"""The trees of a real node: leaves in order, signed heads, proofs out of the database, anchors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cortex_runtime.client import Client
from cortex_runtime.formats import merkle
from cortex_runtime.formats.audit import pack
from cortex_runtime.formats.checkpoint import Signer, read
from cortex_runtime.objectstore import DirectoryStore
from cortex_runtime.security import anchors, audit, tree
from cortex_runtime.security.audit import event
from cortexctl import access
from cortexctl.audit import archive, proving, verifying
from cortexctl.errors import ObjectiveMissed
from unit.server.node import Node, eventually


def conninfo(node: Node, user: str = "cortex") -> str:
    return f"host=127.0.0.1 port={node.database_port} user={user} dbname=cortexkg"


def public_key(node: Node) -> bytes:
    return (node.directory / "checkpoint.pub").read_bytes()


def trees(node: Node) -> dict[str, dict[str, Any]]:
    return {each["tenant"]: each for each in node.operator("GET", "/v1/audit/trees")}


def client(node: Node) -> Client:
    token = node.operator_token()
    here = node.directory
    return Client(
        f"https://127.0.0.1:{node.port}", ca=here / "ca.crt", token=token,
        certificate=here / "node.pem",
    )  # fmt: skip


@pytest.fixture
def export(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Export a tenant's log, as the command line does."""
    monkeypatch.setattr(access, "region_doors", lambda deployment: {"eu-west": lambda: client(node)})
    monkeypatch.setattr(archive, "public_key", lambda deployment: public_key(node))

    def run(tenant: str) -> Path:
        place = tmp_path / f"{tenant}-{len(list(tmp_path.iterdir()))}"
        with client(node) as operator:
            archive.export(None, operator, tenant, place)  # type: ignore[arg-type]
        return place

    return run


def sequenced(node: Node, request_id: str) -> dict[str, Any]:
    """Return the event of a request once it has its place."""

    def check() -> dict[str, Any]:
        (found,) = node.operator("GET", f"/v1/audit?request_id={request_id}")
        assert found["sequence"] is not None
        return dict(found)

    return eventually(check)


def test_events_get_their_places_and_the_head_is_signed(node: Node, export: Callable[[str], Path]) -> None:
    put = node.send("PUT", "concepts/a", {"text": "a word"}, cortex="tree").headers["x-request-id"]
    got = node.send("GET", "concepts/a", cortex="tree").headers["x-request-id"]
    # Reads of the same moment share a segment, whose place is that of its first: either may come first.
    assert sequenced(node, put)["sequence"] != sequenced(node, got)["sequence"]
    head = trees(node)["acme"]
    checkpoint = read(head["checkpoint"], public_key(node))
    assert (checkpoint.origin, checkpoint.size) == ("cortexkg/test/acme", head["size"])
    for tenant in ("acme", "other", "-"):
        found = verifying.verify(export(tenant), public_key(node))
        assert found.size >= head["size"] if tenant == "acme" else found.size > 0


def test_an_event_is_proven_to_whoever_has_the_public_key(node: Node, tmp_path: Path) -> None:
    id_ = sequenced(node, node.send("GET", "concepts/x", cortex="tree").headers["x-request-id"])["id"]
    answer = node.as_operator("GET", f"/v1/audit/proof?event={id_}")
    (tmp_path / "proof").write_bytes(answer.content)
    found = proving.check(tmp_path / "proof", public_key(node), [])
    assert found.event is not None and found.event.id == id_
    for wrong, status in (
        (f"{id_[:36]}.99999", 404),
        ("x", 400),
        (id_.replace(id_[:8], "00000000"), 404),
        ("", 400),
    ):
        assert node.as_operator("GET", f"/v1/audit/proof?event={wrong}").status_code == status


def test_a_log_is_proven_to_have_only_grown(node: Node, tmp_path: Path) -> None:
    (tmp_path / "earlier").write_text(trees(node)["acme"]["checkpoint"])
    sequenced(node, node.send("GET", "concepts/x", cortex="tree").headers["x-request-id"])
    size = read((tmp_path / "earlier").read_text(), public_key(node)).size
    answer = node.as_operator("GET", f"/v1/audit/consistency?tenant=acme&first={size}")
    (tmp_path / "proof").write_bytes(answer.content)
    assert proving.check(tmp_path / "proof", public_key(node), [tmp_path / "earlier"]).size > size
    for query in ("tenant=acme&first=0", "tenant=acme&first=99999999", "first=1", "tenant=none&first=1"):
        assert node.as_operator("GET", f"/v1/audit/consistency?{query}").status_code in (400, 404)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("update audit_segment set content = (select content from audit_segment where tenant = 'other'"
         " limit 1) where tenant = 'acme' and leaf = 3", "(leaf 3"),
        ("delete from audit_segment where tenant = 'acme' and leaf = 3", "where leaf 3 must"),
        ("update audit_segment set leaf = case leaf when 3 then 4 when 4 then 3 end, first_event = null"
         " where tenant = 'acme' and leaf in (3, 4)", "leaf 3"),
        ("update audit_segment set content = null where tenant = 'acme' and leaf = 3", "(leaf 3"),
    ],
)  # fmt: skip
def test_what_somebody_did_in_the_database_is_named(
    node: Node, export: Callable[[str], Path], statement: str, why: str
) -> None:
    verifying.verify(export("acme"), public_key(node))
    columns = "id, tenant, node, first_time, last_time, events, leaf, first_event, hash, content"
    with psycopg.connect(conninfo(node, "postgres"), autocommit=True) as connection:
        saved = connection.execute(f"select {columns} from audit_segment where tenant = 'acme'").fetchall()
        connection.execute("drop index audit_segment_leaf")
        connection.execute(statement)
        connection.execute(
            "update audit_segment set first_event = 0 where leaf is not null and first_event is null"
        )
        try:
            with pytest.raises(ObjectiveMissed) as found:
                verifying.verify(export("acme"), public_key(node))
            assert why in found.value.why
        finally:
            with connection.transaction():
                ids = [row[0] for row in saved]
                connection.execute("delete from audit_segment where id = any(%s)", [ids])
                values = ", ".join(["%s"] * 10)
                for row in saved:
                    connection.execute(f"insert into audit_segment ({columns}) values ({values})", row)
            connection.execute("create unique index audit_segment_leaf on audit_segment (tenant, leaf)"
                               " where leaf is not null")  # fmt: skip
    verifying.verify(export("acme"), public_key(node))


def test_two_sequencers_at_once_and_proofs_over_stored_subtrees(node: Node) -> None:
    """A tree of its own, of more than 256 leaves: the node does not know the tenant, and leaves it alone."""
    signer = Signer((node.directory / "checkpoint.key").read_bytes(), "cortexkg/test")
    tenant = "trees-of-many"

    async def run() -> None:
        connections = [
            await psycopg.AsyncConnection.connect(conninfo(node), autocommit=True) for _ in range(3)
        ]
        first = connections[0]
        for each in connections:
            await each.execute("set cortexkg.tenant = '*'")
        for _ in range(3):
            made = [
                event(
                    tenant=tenant, action="a", actor="key:1", resource="r", result="done", request_id=str(n)
                )
                for n in range(111)
            ]
            await audit.append(first, [segment for each in made for segment in pack("n", [each])])
            done = await asyncio.gather(
                *(tree.sequence(each, "test", tenant, signer) for each in connections)
            )
            assert sum(done) == 111 or sum(done) == 0  # the node's own sequencer may have been there first
        while await tree.sequence(first, "test", tenant, signer):
            pass
        head = await tree.head_of(first, tenant)
        assert (head.size, head.events) == (333, 333)
        rows = await first.execute(
            "select leaf, hash from audit_segment where tenant = %s order by leaf", [tenant]
        )
        stored = await rows.fetchall()
        assert [leaf for leaf, _ in stored] == list(range(333))
        hashes = [bytes(hashed) for _, hashed in stored]
        assert merkle.Frontier(head.size, head.frontier).root == merkle.root(hashes)
        note = await tree.checkpoint_of(first, tenant, 333)
        root = read(note, public_key(node)).root
        for leaf in (0, 1, 100, 255, 256, 257, 300, 332):
            proof = await tree.hashes_of(first, tenant, merkle.inclusion_ranges(leaf, 333))
            merkle.check_inclusion(hashes[leaf], leaf, 333, proof, root)
        for size in (1, 100, 111, 255, 256, 257, 332):
            proof = await tree.hashes_of(first, tenant, merkle.consistency_ranges(size, 333))
            merkle.check_consistency(size, merkle.root(hashes[:size]), 333, root, proof)
        levels = await first.execute("select level, number from audit_subtree where tenant = %s", [tenant])
        assert await levels.fetchall() == [(1, 0)]
        for each in connections:
            await each.close()

    asyncio.run(run())


def test_anchors_are_never_written_over_and_another_history_is_seen(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert anchors.kept(store, "acme", 10) == []
    for size in (9, 10, 100):
        assert anchors.keep(store, "acme", size, f"note {size}")
    assert anchors.keep(store, "", 1, "of no tenant")
    assert not anchors.keep(store, "acme", 10, "note 10")
    with pytest.raises(anchors.RewrittenError, match="another"):
        anchors.keep(store, "acme", 10, "another")
    assert anchors.kept(store, "acme", 10) == ["note 9", "note 10", "note 100"]
    assert anchors.kept(store, "acme", 2) == ["note 10", "note 100"]
    assert anchors.kept(store, "", 10) == ["of no tenant"]


def test_reading_the_log_is_in_the_log_but_for_the_heads(node: Node) -> None:
    for query, resource, action in (
        ("?tenant=acme&limit=1", "audit/acme", "audit.trail"),
        ("/segments?tenant=acme", "audit/acme", "audit.export"),
        ("/anchors?tenant=-", "audit/-", "audit.anchors"),
    ):
        id_ = node.as_operator("GET", f"/v1/audit{query}").headers["x-request-id"]
        found = eventually(lambda id_=id_: node.operator("GET", f"/v1/audit?request_id={id_}")[0])  # type: ignore[misc]
        assert (found["resource"], found["action"], found["tenant"]) == (resource, action, None)
    assert node.operator("GET", "/v1/audit?action=audit.trees") == []


def test_content_that_has_passed_its_retention_goes_and_the_tree_stays(
    node: Node, export: Callable[[str], Path]
) -> None:
    sequenced(node, node.send("GET", "concepts/x", cortex="tree").headers["x-request-id"])
    before = verifying.verify(export("acme"), public_key(node))
    with (
        psycopg.connect(conninfo(node, "postgres"), autocommit=True) as superuser,
        psycopg.connect(conninfo(node), autocommit=True) as connection,
    ):
        (kept,) = superuser.execute("select kept::text from retention where what = 'audit'").fetchone() or ()
        assert kept == "7 years"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("update retention set kept = '0'")
        connection.execute("select forget_expired()")
        assert verifying.verify(export("acme"), public_key(node)).expired == 0
        old = "tenant = 'acme' and leaf in (0, 1)"
        (saved,) = (
            superuser.execute(
                f"select array_agg(last_time order by leaf) from audit_segment where {old}"
            ).fetchone()
            or ()
        )
        superuser.execute(f"update audit_segment set last_time = last_time - interval '8 years' where {old}")
        connection.execute("select forget_expired()")
        for leaf, last in enumerate(saved):
            superuser.execute(
                "update audit_segment set last_time = %s where tenant = 'acme' and leaf = %s", [last, leaf]
            )
    found = verifying.verify(export("acme"), public_key(node))
    assert found.expired == 2
    assert found.size >= before.size
    assert node.operator("GET", "/v1/audit?tenant=acme&limit=1000")
