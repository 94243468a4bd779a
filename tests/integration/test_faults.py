"""What breaks, and what is left of the promises then: nothing acknowledged is lost, nothing is a ghost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.client import ApiError, ClientError
from cortex_runtime.formats.messages import KeyVersion
from cortexctl import access
from cortexctl import deployment as deployments
from integration.running import Running, eventually, frozen, get, put, unique


def drill(running: Running, name: str, *words: str) -> dict:  # type: ignore[type-arg]
    """Run a drill that may miss nothing but its time: the machine is shared, and scripts/bench measures."""
    done = running.run("drill", "run", name, *words, "--output", "json", expect=(0, 3))
    report = json.loads(done.stdout)
    assert (report["outcome"], done.returncode) in (("passed", 0), ("missed", 3))
    assert [reason for reason in report["reasons"] if not reason.startswith("Recovery took")] == []
    assert report["fault_landed"] is True
    assert report["acknowledged"] > 0
    assert report["lost"] == 0
    assert report["ghosts"] == 0
    assert report["timeline"]
    return dict(report)


@pytest.mark.parametrize("name", ["node-loss", "database-loss", "region-loss"])
def test_a_drill_loses_nothing(running: Running, name: str) -> None:
    running.healthy()
    drill(running, name)
    running.healthy()


def test_a_region_without_the_primary_can_be_lost_too(running: Running) -> None:
    running.healthy()
    standby = next(member.region for member in running.platform.database() if member.role != "primary")
    drill(running, "region-loss", "--region", standby)
    running.healthy()


def test_a_drill_is_refused_when_the_deployment_is_not_healthy(running: Running) -> None:
    running.healthy()
    node = running.deployment.nodes[0].name
    try:
        assert running.platform.kill_node(node).landed
        running.run("status", expect=3)
        running.run("drill", "run", "node-loss", expect=5)
    finally:
        running.platform.start_node(node)
    running.healthy()


def test_an_owner_frozen_past_its_heartbeat_acknowledges_nothing_stale(running: Running, tenant: str) -> None:
    slot = slot_of(tenant, "main")
    with running.tenant(tenant, timeout=5.0) as client:
        put(client, tenant, "before", "written before the frost")
        owner = running.owner(slot)
        with frozen(running.pid_of(owner.name)):
            put(client, tenant, "during", "written by another owner", deadline=20)
            assert running.owner(slot) != owner
        # Thawed, it must see that it lost the slot, and pass the write on or refuse it.
        with access.tenant(
            running.deployment, tenant, url=f"https://127.0.0.1:{_balancer(running, owner.region)}"
        ) as near:
            put(near, tenant, "after", "written after the thaw", deadline=20)
        for name in ("before", "during", "after"):
            assert eventually(partial(get, client, tenant, name)).id == name
    running.healthy()


def _balancer(running: Running, region: str) -> int:
    return running.deployment.region(region).load_balancer_port


def test_an_owner_frozen_inside_a_transaction_does_not_block_who_takes_over(
    running: Running, tenant: str
) -> None:
    slot = slot_of(tenant, "main")
    with running.tenant(tenant, timeout=5.0) as client:
        put(client, tenant, "before", "written before the frost")
        owner = running.owner(slot)
        holder = _as_application(running)
        with holder, frozen(running.pid_of(owner.name)):
            holder.execute("select from slot_owner where slot = %s for share", [slot])
            put(client, tenant, "during", "written by another owner", deadline=20)
            with pytest.raises(psycopg.Error):
                holder.execute("select 1")
    running.healthy()


def _as_application(running: Running) -> psycopg.Connection:
    """Return a connection to the primary in the application's role, inside a transaction."""
    region = running.deployment.region(running.primary_region())
    certificates = region.directory / "certs"
    own = str(certificates / "role-cortex.pem")
    return psycopg.connect(
        host="127.0.0.1", port=region.postgres_port, dbname="cortexkg", user="cortex",
        passfile=str(region.directory / "secrets" / "cortex.pgpass"), sslmode="verify-full",
        sslrootcert=str(certificates / "ca.crt"), sslcert=own, sslkey=own,
    )  # fmt: skip


def test_without_a_standby_nothing_is_acknowledged(running: Running, tenant: str) -> None:
    primary = running.primary_region()
    standbys = [region.name for region in running.deployment.regions if region.name != primary]
    with running.tenant(tenant, timeout=8.0) as client:
        put(client, tenant, "before", "written while all was well")
        receivers = [pid for region in standbys for pid in _postgres(running, region)]
        assert len(receivers) >= len(standbys)
        with frozen(*receivers), pytest.raises(ClientError) as found:
            put(
                client,
                tenant,
                "alone",
                "written while no standby listens",
                deadline=0,
                idempotency_key="alone",
            )
        assert not isinstance(found.value, ApiError) or found.value.code in ("outcome_unknown", "unavailable")
        answer = put(
            client, tenant, "alone", "written while no standby listens", deadline=30, idempotency_key="alone"
        )
        assert answer.results[0].outcome == "allocated"
        assert get(client, tenant, "alone", position=answer.position).id == "alone"
    running.healthy()


def _postgres(running: Running, region: str) -> list[int]:
    """Return the WAL receivers of a region."""
    found = []
    for line in running.platform.region_processes(region):
        pid = int(line.split()[0])
        if b"walreceiver" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    return found


def test_an_append_whose_answer_is_lost_is_done_once(running: Running, tenant: str) -> None:
    """The owner is killed while its append waits for the quorum; the same key gives the true answer."""
    slot = slot_of(tenant, "main")
    primary = running.primary_region()
    standbys = [region.name for region in running.deployment.regions if region.name != primary]
    with running.tenant(tenant, timeout=8.0) as client:
        first = put(client, tenant, "first", "something to begin with")
        owner = running.owner(slot)
        outcome: list[object] = []

        def write() -> None:
            try:
                outcome.append(
                    put(client, tenant, "once", "acknowledged to nobody", deadline=0, idempotency_key="once")
                )
            except ClientError as error:
                outcome.append(error)

        receivers = [pid for region in standbys for pid in _postgres(running, region)]
        writer = threading.Thread(target=write)
        with frozen(*receivers):
            writer.start()
            eventually(lambda: _append_waits(running), patience=5)
            os.kill(running.pid_of(owner.name), signal.SIGKILL)
            writer.join()
        assert isinstance(outcome[0], ClientError)
        again = put(client, tenant, "once", "acknowledged to nobody", deadline=30, idempotency_key="once")
        assert again.position.seq == first.position.seq + 1
        assert get(client, tenant, "once", position=again.position).text == "acknowledged to nobody"
        third = put(client, tenant, "once", "acknowledged to nobody", deadline=30, idempotency_key="once")
        assert third == again
    running.healthy()


def _append_waits(running: Running) -> None:
    region = running.deployment.region(running.primary_region())
    lines = [
        Path(f"/proc/{line.split()[0]}/cmdline") for line in running.platform.region_processes(region.name)
    ]
    assert any(b"waiting for" in path.read_bytes() for path in lines if path.exists())


def test_a_rotation_killed_half_way_is_finished_by_the_next(running: Running, tenant: str) -> None:
    with access.operator(running.deployment) as operator:
        pending = operator.request("POST", f"/v1/tenants/{tenant}/keys", type=KeyVersion)
        assert pending.state == "PENDING"
        with pytest.raises(ApiError) as found:
            operator.request("POST", f"/v1/tenants/{tenant}/keys/{pending.version}/activate", type=KeyVersion)
        assert found.value.code == "conflict"
    with running.tenant(tenant) as client:
        put(client, tenant, "a", "sealed while a version is pending")
        assert get(client, tenant, "a").key_version == 1
    assert running.json("key", "rotate", "--tenant", tenant)["version"] == pending.version
    first, second = (key["state"] for key in running.json("key", "list", tenant))
    assert first in ("DECRYPT_ONLY", "RETIRING")
    assert second == "ACTIVE"


def test_a_region_that_was_away_proves_the_key_before_its_nodes_are_ready(
    running: Running, tenant: str
) -> None:
    away = next(member.region for member in running.platform.database() if member.role != "primary")
    assert running.platform.kill_region(away).landed
    try:
        rotated = running.json("key", "rotate", "--tenant", tenant)
        assert (rotated["version"], rotated["unproven"]) == (2, [away])
    finally:
        running.platform.start_region(away)
    eventually(lambda: running.run("status"), patience=90)
    newest = running.json("key", "list", tenant)[-1]
    assert away in newest["proven"]
    running.healthy()


@pytest.fixture
def two_nodes(running: Running) -> Iterator[Running]:
    """The deployment with two nodes a region."""
    running.run("up", "--nodes", "2", "--yes")
    yield Running(deployments.load(running.deployment.name))
    running.run("up", "--nodes", "1", "--yes")
    running.healthy()


def test_a_planned_end_of_a_node_fails_no_request(two_nodes: Running) -> None:
    """Asked to end, the owner drains: every write through the edge succeeds at its first attempt."""
    running = two_nodes
    running.healthy()
    tenant = unique("t")
    running.run("tenant", "onboard", tenant)
    failures: list[Exception] = []
    stop = threading.Event()

    def write() -> None:
        with running.tenant(tenant, timeout=8.0) as client:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    put(client, tenant, f"n{number}", f"number {number} of many", deadline=0)
                except ClientError as error:
                    failures.append(error)
                time.sleep(0.02)

    with running.tenant(tenant) as client:
        put(client, tenant, "first", "something to begin with")
    owner = running.owner(slot_of(tenant, "main"))
    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        pid = running.pid_of(owner.name)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: _gone(pid), patience=20)
        eventually(lambda: running.run("status"), patience=60)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failures


def _gone(pid: int) -> None:
    assert not Path(f"/proc/{pid}").exists()


def test_failover_to_a_named_region(running: Running) -> None:
    running.healthy()
    before = running.primary_region()
    target = next(region.name for region in running.deployment.regions if region.name != before)
    assert target in running.run("failover", "plan", "--to", target).stdout
    assert running.primary_region() == before
    running.run("failover", "run", "--to", target, "--yes")
    assert running.primary_region() == target
    running.healthy()
