"""Writes that are planned together: those that cannot be done leave nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from cortex_runtime.changelog.plan import MAX_REJECTED, Plan, Write, prepare
from cortex_runtime.changelog.slots import Change, Slot
from cortex_runtime.columns import Cortex, CortexSettings
from cortex_runtime.formats.keyring import new_keyring, parse
from cortex_runtime.formats.messages import BatchRequest, BatchResponse
from cortex_runtime.security.audit import event
from cortex_runtime.security.directory import Directory, Quota, TenantEntry, WrappedKey
from cortex_runtime.security.envelope import OVERHEAD
from cortex_runtime.security.keyring import KeyringFile


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """The keys of one tenant."""
    path = tmp_path / "keyring.json"
    path.write_bytes(parse(new_keyring()).with_tenant("acme").to_bytes())
    found = Directory(KeyringFile(path))
    kek_version, index_key = found.make_index_key("acme")
    _, wrapped, check_value = found.make_data_key("acme", 1)
    keys = {1: WrappedKey(1, "ACTIVE", kek_version, wrapped, check_value)}
    found.tenants["acme"] = TenantEntry(
        "acme", "free", "active", 1, kek_version, index_key, Quota(1, 1, 1, 1), None, {}, keys
    )
    return found


def put(id_: str, **more: Any) -> dict[str, Any]:
    return {"op": "put", "id": id_, "text": f"text of {id_}", **more}


def relate(source: str, target: str) -> dict[str, Any]:
    return {"op": "relate", "source": source, "type": "inherits", "target": target}


GOOD = [
    [put("a", properties={"x": 1}), put("b", parent="a")],
    [put("c", parent="b")],
    [{"op": "delete", "id": "a"}, put("a")],
    [{"op": "unrelate", "source": "c", "type": "inherits", "target": "b"}],
]
BAD = [
    [put("d"), put("b", properties={"y": 1}), relate("a", "b")],
    [{"op": "delete", "id": "b"}, put("c", parent="e"), relate("nobody", "a")],
    [relate("c", "a"), put("e", properties={"x": list(range(1025))})],
    [put("f", text="\u200b")],
]


EVENT = event(tenant="acme", actor="key:1", action="batch", resource="main", result="done", request_id="r")


def write_of(key: bytes, operations: list[dict[str, Any]]) -> Write:
    body = msgspec.convert({"operations": operations}, BatchRequest)
    return Write(
        tenant="acme", cortex="main", operations=body.operations, key=key, mac=b"", size=1, event=EVENT,
        answer=asyncio.get_running_loop().create_future(),
    )  # fmt: skip


def planned(slot: Slot, batches: list[list[dict[str, Any]]], directory: Directory) -> Plan:
    async def plan() -> Plan:
        writes = [write_of(bytes([index]) * 16, each) for index, each in enumerate(batches)]
        return await prepare(slot, 1, writes, directory)

    return asyncio.run(plan())


def results(plan: Plan) -> list[BatchResponse]:
    return [msgspec.json.decode(answer, type=BatchResponse) for answer in plan.answers.values()]


def applied(slot: Slot, plan: Plan) -> str:
    for change in plan.changes:
        slot.apply(
            Change(change.seq, 1, change.tenant, change.cortex, change.sealed, change.digest), change.entry
        )
    return slot.hash()


def test_a_write_that_cannot_be_done_leaves_nothing_beside_those_that_can(directory: Directory) -> None:
    alone = planned(Slot(1), GOOD, directory)
    mixed = planned(Slot(1), [each for pair in zip(GOOD, BAD, strict=True) for each in pair], directory)
    assert not alone.rejected
    assert [rejection.code for _, rejection in mixed.rejected] == ["cycle", "not_found", "invalid", "invalid"]
    assert results(mixed) == results(alone)
    assert [change.entry for change in mixed.changes] == [change.entry for change in alone.changes]
    for name in ("concepts", "relationships", "deleted", "unrelated"):
        assert getattr(mixed, name).keys() == getattr(alone, name).keys(), name
    assert applied(Slot(1), mixed) == applied(Slot(1), alone)


@pytest.mark.parametrize(("settings", "code"), [({"quota": 2}, "quota"), ({"capacity": 2}, "capacity")])
def test_a_full_cortex_takes_nothing_more(directory: Directory, settings: dict[str, int], code: str) -> None:
    slot = Slot(1, cortices={("acme", "main"): Cortex(CortexSettings(refractory=0, **settings))})
    texts = ("one apple", "two pears", "three plums")
    puts = [put(text.split()[1], text=text) for text in texts]
    before = applied(slot, planned(slot, [puts[:2]], directory))
    plan = planned(slot, [[{"op": "delete", "id": "apple"}, puts[2], puts[0]], [puts[2]]], directory)
    assert [rejection.code for _, rejection in plan.rejected] == [code, code]
    assert slot.hash() == before
    swapped = planned(slot, [[puts[2]], [{"op": "delete", "id": "apple"}, puts[2]]], directory)
    assert (len(swapped.rejected), len(swapped.writes)) == (1, 1)
    assert code == "capacity" or "'plums'" in str(swapped.rejected[0][1])


def test_after_some_rejections_the_rest_is_left_for_the_next_plan(directory: Directory) -> None:
    batches = [*[[put("x"), relate("nobody", "x")]] * (MAX_REJECTED + 3), [put("y")]]
    plan = planned(Slot(1), batches, directory)
    assert (len(plan.rejected), plan.writes, plan.changes) == (MAX_REJECTED, [], [])
    plan = planned(Slot(1), batches[MAX_REJECTED:], directory)
    assert (len(plan.rejected), len(plan.writes)) == (3, 1)


def test_a_batch_is_planned_as_one_by_one(directory: Directory) -> None:
    together, one_by_one = Slot(1), Slot(1)
    hash_ = applied(together, planned(together, [[each for batch in GOOD for each in batch]], directory))
    for batch in GOOD:
        for operation in batch:
            last = applied(one_by_one, planned(one_by_one, [[operation]], directory))
    assert last == hash_


def test_the_database_is_told_each_version_that_anything_is_sealed_by(directory: Directory) -> None:
    """Of a mere deletion too: its change and its answer are sealed."""
    slot = Slot(1)
    applied(slot, planned(slot, [[put("a")]], directory))
    plan = planned(slot, [[{"op": "delete", "id": "a"}]], directory)
    assert (plan.concepts, plan.relationships) == ({}, {})
    later = b"\0\1" + (2).to_bytes(4, "big") + bytes(OVERHEAD)  # another version came while it was planned
    plan.sealed_answers = dict.fromkeys(plan.sealed_answers, later)
    told = [each.obj for each in plan.parameters("node") if isinstance(each, Jsonb)]
    assert [{"tenant": "acme", "version": 1}, {"tenant": "acme", "version": 2}] in told
