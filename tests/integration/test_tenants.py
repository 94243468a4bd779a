"""A tenant's life by the command line: quotas, suspension, export, erasure, and leaving for good."""

from __future__ import annotations

import base64
import json
from itertools import count
from pathlib import Path

import pytest

from cortex_runtime.client import ApiError
from cortex_runtime.formats.keyring import Keyring, parse
from cortex_runtime.formats.messages import QueryRequest, QueryResponse
from cortexctl import access, credentials, evidence, tenants
from integration import restoring, thief, wire
from integration.running import Running, eventually, get, put, unique

MARKER = "the quick brown zebra of quagadougou"


@pytest.fixture
def leaving(running: Running) -> str:
    """A tenant with three concepts, two of them of one person."""
    running.healthy()
    name = unique("t")
    running.run("tenant", "onboard", name, "--tier", "free")
    with running.tenant(name) as client:
        for concept in ("a", "b", "c"):
            put(client, name, concept, f"{MARKER} {concept}")
    running.run("concept", "put", name, "ann", MARKER, "--property", "subject=ann")
    return name


def raw_files(running: Running) -> list[Path]:
    """Return what the regions keep: databases with their logs, snapshots, objects, logs of processes."""
    parts = ("postgres", "snapshots", "objects", "log")
    return [
        path
        for region in running.deployment.regions
        for part in parts
        for path in (region.directory / part).rglob("*")
        if path.is_file()
    ]


def test_nothing_of_a_tenants_text_is_found_in_any_file(running: Running, leaving: str) -> None:
    with running.tenant(leaving) as client:
        assert get(client, leaving, "a").text == f"{MARKER} a"
    files = raw_files(running)
    assert len(files) > 1000
    found = [str(path) for path in files if MARKER.encode() in path.read_bytes()]
    assert found == []
    # The search finds what is there in the clear: the tenant's name.
    assert any(leaving.encode() in path.read_bytes() for path in files if "postgres" in path.parts)


def test_nothing_of_a_tenants_text_goes_over_the_wire_in_the_clear(running: Running, leaving: str) -> None:
    words = "an unheard word of the wire"
    key = credentials.api_key(running.deployment, leaving)
    query = f"/v1/tenants/{leaving}/cortices/main/query"
    with wire.tapped() as heard:
        clear = wire.say_in_the_clear(f"{words} {key}".encode())
        with running.tenant(leaving) as client:
            position = put(client, leaving, "heard", words).position
        for region in running.deployment.regions:
            with running.tenant(leaving, url=region.load_balancer_url) as client:
                asked = QueryRequest(text=words, position=position)
                found = client.request("POST", query, asked, type=QueryResponse)
                assert "heard" in [match.id for match in found.matches]
                assert get(client, leaving, "heard").text == words
        eventually(running.assert_agreement)  # it was replicated
    assert heard.size < wire.MOST
    assert heard.dropped == 0
    # Whoever says it in the clear is heard, and nobody else.
    for secret in (words, key):
        assert clear in heard.ports(secret.encode())
        assert len(heard.ports(secret.encode())) == 2


def test_what_is_exported_is_all_and_what_is_erased_is_gone(
    running: Running, leaving: str, tmp_path: Path
) -> None:
    listed = running.json("tenant", "export", leaving, "--to", str(tmp_path / "first"))
    assert [(each["cortex"], each["concepts"]) for each in listed] == [("main", 4)]
    lines = (tmp_path / "first" / "main.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {"a", "b", "c", "ann"}
    running.run("tenant", "erase", leaving, "--subject", "ann", expect=2)  # it asks, and nobody answers
    assert running.json("tenant", "erase", leaving, "--subject", "ann", "--yes")["erased"] == 1
    assert running.json("tenant", "export", leaving, "--to", str(tmp_path / "second"))[0]["concepts"] == 3
    assert "ann" not in (tmp_path / "second" / "main.jsonl").read_text()
    running.healthy()  # every replica has the same arrays
    eventually(lambda: assert_in_every_region(running, f"erasures/{leaving}/main/*"))


def assert_in_every_region(running: Running, pattern: str) -> None:
    """The list of erasures is outside of the database: a backup from before is held against it."""
    for region in running.deployment.regions:
        assert len(list((region.directory / "objects").glob(pattern))) == 1


def test_a_tenant_has_what_its_quota_says_and_no_more(running: Running, leaving: str) -> None:
    running.run("tenant", "quota", leaving, "--concepts", "5")
    running.run("concept", "put", leaving, "fifth", "one more")
    refused = running.run("concept", "put", leaving, "sixth", "one too many", expect=5)
    assert "quota of 5 concepts" in refused.stderr
    running.run("tenant", "quota", leaving, "--tier", "standard")
    running.run("concept", "put", leaving, "sixth", "one too many")
    running.run("tenant", "quota", leaving, "--tier", "platinum", expect=2)


def test_who_is_suspended_is_refused_by_every_region_within_seconds(running: Running, leaving: str) -> None:
    key = credentials.api_key(running.deployment, leaving)
    with access.open_client(running.deployment) as client:
        token = access.log_in(client, leaving, key).token
    running.run("tenant", "suspend", leaving, "--yes")
    for region in running.deployment.regions:

        def check(url: str = region.load_balancer_url) -> None:
            with access.open_client(running.deployment, url=url, token=token, deadline=0) as client:
                with pytest.raises(ApiError) as refused:
                    get(client, leaving, "a")
                assert refused.value.code == "unauthenticated"

        eventually(check, patience=5)
    running.run("tenant", "resume", leaving)
    with running.tenant(leaving) as client:
        eventually(lambda: get(client, leaving, "a"), patience=5)


def test_who_has_left_leaves_nothing_that_opens(running: Running, leaving: str, tmp_path: Path) -> None:
    neighbour, backup = unique("t"), tmp_path / "backup"
    running.run("tenant", "onboard", neighbour)
    running.run("concept", "put", neighbour, "a", f"{MARKER} of the neighbour")
    restoring.back_up(running, backup)
    stolen = [region.directory / "secrets" / "keyring.json" for region in running.deployment.regions]
    kept = tmp_path / "kept-keyring.json"
    kept.write_bytes(stolen[0].read_bytes())
    before = parse(kept.read_bytes())
    assert leaving in before.tenants
    running.run("tenant", "legal-hold", leaving)
    held = running.run("tenant", "offboard", leaving, "--yes", expect=5)
    assert "legal hold" in held.stderr
    running.run("tenant", "legal-hold", leaving, "--release")
    receipt = json.loads(running.run("tenant", "offboard", leaving, "--yes", "--output", "json").stdout)
    assert receipt["concepts_before"] == 4
    assert receipt["opened_versions"] == 0
    assert set(receipt["nodes"]) == {node.name for node in running.deployment.nodes}
    assert not any(count for parts in receipt["nodes"].values() for count in parts.values())
    for path in stolen:
        after = parse(path.read_bytes())
        assert leaving not in after.tenants
        assert after.root_id != before.root_id
    verify = (
        "evidence", "verify", receipt["receipt"], "--public-key", receipt["public_key"],
        "--audit-key", receipt["audit_key"],
    )  # fmt: skip
    believed = running.json(*verify)
    assert believed["statement"]["predicate"]["tenant"] == believed["leaving"]["tenant"] == leaving
    assert believed["leaving"]["event"]["id"] == receipt["proof"]
    forged = Path(receipt["receipt"])
    forged.write_text(forged.read_text().replace('"sig": "', '"sig": "AAAA'))
    running.run(*verify, expect=3)
    running.run("tenant", "onboard", leaving, expect=5)
    running.run("concept", "get", leaving, "a", expect=5)
    running.run("tenant", "offboard", leaving, "--yes")  # once more is as good as once
    running.healthy()
    eventually(lambda: assert_in_every_region(running, f"departures/{leaving}"))
    with restoring.restored(backup) as port:
        assert_closed(running, port, before, leaving, neighbour)
        # What no cryptography reaches (docs/security.md): a keyring that was kept has its root key in it.
        assert len(thief.opened(port, kept, leaving)) == 5


def assert_closed(running: Running, port: int, before: Keyring, gone: str, neighbour: str) -> None:
    """In an old backup nothing of who has left opens with all that is there now; of who stayed all does."""
    for region in running.deployment.regions:
        keyring = region.directory / "secrets" / "keyring.json"
        assert thief.opened(port, keyring, gone) == []
        found = thief.opened(port, keyring, neighbour)
        assert found[0] == "check value 1"
        assert MARKER in found[1]
    # Nor does any key that lies anywhere open the keys themselves, or those of a keyring that was kept
    # without its root key; with its root key they open.
    keys = thief.candidates(running.deployment.directory)
    root = base64.b64decode(parse(keyring.read_bytes()).root_key)
    assert root in keys
    assert thief.guessed(keys, thief.data_keys(port, gone)) == []
    assert thief.guessed(keys, thief.wrapped_keys(before, gone)) == []
    assert len(thief.guessed([base64.b64decode(before.root_key)], thief.wrapped_keys(before, gone))) == 1
    assert len(thief.guessed(keys, thief.wrapped_keys(parse(keyring.read_bytes()), neighbour))) == 1


def killed_at_every_step(running: Running, *words: str) -> int:
    """Run a command again and again, killed at a later step each time, to its end; return how many."""
    return next(step for step in count(1) if not running.run_killed(step, *words)) - 1


def test_an_erasure_that_is_killed_at_any_step_is_finished_by_the_next(
    running: Running, leaving: str, tmp_path: Path
) -> None:
    steps = killed_at_every_step(running, "tenant", "erase", leaving, "--subject", "ann", "--yes")
    assert steps >= 3  # it logs in, asks for cortices, erases
    assert running.json("tenant", "erase", leaving, "--subject", "ann", "--yes")["erased"] == 0
    assert running.json("tenant", "export", leaving, "--to", str(tmp_path / "all"))[0]["concepts"] == 3
    running.healthy()


def test_an_offboarding_that_is_killed_at_any_step_is_finished_by_the_next(running: Running) -> None:
    running.healthy()
    gone, neighbour = unique("t"), unique("t")
    running.run("tenant", "onboard", neighbour)
    running.run("concept", "put", neighbour, "a", MARKER)
    killed_at_every_step(running, "tenant", "onboard", gone)
    running.run("concept", "put", gone, "a", MARKER)
    held = keyrings_with(running, gone)
    assert len(held) == len(running.deployment.regions)
    words = ("tenant", "offboard", gone, "--yes")
    for step in count(1):
        if not running.run_killed(step, *words):
            break
        with access.operator(running.deployment) as client:
            state = tenants.show(client, gone).state
        # Whose keys are being destroyed is shut out already, and for good.
        assert state in ("leaving", "gone") or keyrings_with(running, gone) == held
    assert step > 10
    assert keyrings_with(running, gone) == []
    (receipt,) = (running.deployment.directory / "evidence").glob(f"offboarding-{gone}-*.json")
    keys = evidence.key_paths(running.deployment)
    believed = evidence.verify(receipt, keys["public_key"], keys["audit_key"])
    assert not any(n for parts in believed.statement.predicate["nodes"].values() for n in parts.values())
    running.run("concept", "get", gone, "a", expect=5)
    assert MARKER in running.run("concept", "get", neighbour, "a").stdout
    running.healthy()


def keyrings_with(running: Running, tenant: str) -> list[Path]:
    """Return all files of the deployment that have keys of a tenant, also what a killed run left."""
    files = (path for path in running.deployment.directory.rglob("*keyring*") if path.is_file())
    return sorted(path for path in files if tenant in parse(path.read_bytes()).tenants)
