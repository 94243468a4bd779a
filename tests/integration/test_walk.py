"""The walk of the README, on a small deployment."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cortex_runtime.formats.messages import HealthReport, Session
from integration.running import Running, eventually, get, unique

LINES = [
    {"id": "animal", "text": "animal beast creature; a living organism that moves"},
    {"id": "dog", "text": "dog; a domestic animal that barks and guards the house",
     "properties": {"legs": 4}, "relationships": [{"type": "is a", "target": "animal"},
                                                  {"type": "chases", "target": "cat", "weight": 0.5}]},
    {"id": "cat", "text": "cat; a small feline that purrs",
     "relationships": [{"type": "is a", "target": "animal"}]},
]  # fmt: skip


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def test_status_says_everything_of_regions_and_nodes(running: Running) -> None:
    running.healthy()
    status = running.json("status")
    assert status["deployment"] == running.deployment.name
    assert status["healthy"] is True
    assert "global" in status["durability"]
    assert [region["name"] for region in status["regions"]] == ["eu-west", "us-east", "ap-south"]
    assert {"name", "role", "status", "database", "load_balancer_url"} <= set(status["regions"][0])
    assert sorted(region["role"] for region in status["regions"]) == ["primary", "standby", "standby"]
    assert {node["status"] for node in status["nodes"]} == {"healthy"}
    assert {"name", "region", "status", "slots", "lag", "columns"} <= set(status["nodes"][0])


def test_a_second_up_changes_nothing_and_says_so(running: Running) -> None:
    assert "Nothing was changed" in running.run("up", "--yes").stderr
    running.run("drift")  # exits with 0: there is none
    assert "Nothing to do" in running.run("up", "--dry-run").stderr


def test_onboarding_twice_shows_the_key_once(running: Running) -> None:
    name = unique("t")
    first = running.json("tenant", "onboard", name)
    second = running.json("tenant", "onboard", name)
    assert first["api_key"].startswith("ck_")
    assert not second.get("api_key")
    assert name in running.run("tenant", "list").stdout


def test_import_is_done_once_and_pending_relationships_are_resolved(
    running: Running, tenant: str, lines: Path
) -> None:
    first = running.json("tenant", "import", tenant, str(lines))
    assert first["allocated"] == 3
    reports = eventually(lambda: _counted(running, 3))
    assert all(report.pending_relationships == 0 for report in reports.values())
    running.run("tenant", "import", tenant, str(lines))
    with running.tenant(tenant) as client:
        dog = get(client, tenant, "dog")
    assert dog.properties == {"legs": 4}
    assert [(edge.type, edge.target, edge.weight) for edge in dog.relationships] == [
        ("chases", "cat", 0.5), ("is a", "animal", 1.0)
    ]  # fmt: skip


def _counted(running: Running, concepts: int) -> dict[str, HealthReport]:
    reports = running.reports()
    assert all(report.concepts >= concepts for report in reports.values())
    return reports


def test_a_query_finds_by_words_and_explains_what_it_reached_by_relationships(
    running: Running, tenant: str, lines: Path
) -> None:
    running.run("tenant", "import", tenant, str(lines))
    found = eventually(lambda: _query(running, tenant))
    assert found[0]["id"] == "dog"
    reached = {match["id"]: match["path"] for match in found}
    assert reached["animal"] == [{"source": "dog", "type": "is a", "target": "animal"}]
    assert "dog" in running.run("query", tenant, "domestic animal that barks").stdout


def _query(running: Running, tenant: str) -> list[dict]:  # type: ignore[type-arg]
    found = running.json("query", tenant, "domestic barks house", "-k", "5", "--hops", "1")["matches"]
    assert len(found) >= 2
    return list(found)


def test_concepts_by_hand(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "sun", "the star that the earth goes around")
    running.run("concept", "put", tenant, "earth", "the third planet")
    running.run("concept", "relate", tenant, "earth", "orbits", "sun")
    assert running.json("concept", "get", tenant, "earth")["relationships"][0]["target"] == "sun"
    running.run("concept", "delete", tenant, "sun")
    running.run("concept", "get", tenant, "sun", expect=5)


def test_after_a_rotation_all_new_writes_use_the_new_key(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "before", "written under the first key")
    rotated = running.json("key", "rotate", "--tenant", tenant)
    running.run("concept", "put", tenant, "after", "written under the second key")
    assert rotated["version"] == 2
    with running.tenant(tenant) as client:
        assert get(client, tenant, "after").key_version == 2

        def sealed_anew() -> None:
            assert get(client, tenant, "before").key_version == 2

        eventually(sealed_anew)
    states = {key["version"]: key["state"] for key in running.json("key", "list", tenant)}
    assert states[1] in ("DECRYPT_ONLY", "RETIRING")
    assert states[2] == "ACTIVE"


def test_what_wraps_keys_is_rotated_and_every_region_opens_all(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "a", "written before")
    done = running.json("key", "rotate", "--tenant", tenant, "--kek")
    assert (done["kek_version"], done["kept"]) == (2, [])
    running.json("key", "rotate", "--root")
    verified = running.json("key", "verify", "--tenant", tenant)
    assert {one["region"] for one in verified} == {region.name for region in running.deployment.regions}
    assert all(one["check_value"] and one["tried"] == one["opened"] for one in verified)
    assert [key["kek_version"] for key in running.json("key", "list", tenant)] == [2]
    refused = running.run("key", "retire", "--tenant", tenant, "--version", "1", "--yes", expect=5)
    assert "is ACTIVE" in refused.stderr
    assert "Nothing to do" in running.run("key", "rotate", "--older-than", "400d").stderr
    assert running.json("concept", "get", tenant, "a")["text"] == "written before"


def test_the_keys_that_sign_tokens_are_rotated_under_a_client_that_is_refused_nothing(
    running: Running, tenant: str
) -> None:
    running.healthy()
    before = {key["id"]: key["state"] for key in running.json("key", "list")}
    outcomes: list[bool] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with running.tenant(tenant) as client:  # logs in each time
                outcomes.append(bool(client.request("GET", "/v1/session", type=Session).session))

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            done = running.json("key", "rotate", "--tokens")
        finally:
            over.set()
        asked.result()
    assert len(outcomes) > 5
    assert [each["issuer"] for each in done] == ["node", "operator"]
    for each in done:
        assert each["nodes"] == [node.name for node in running.deployment.nodes]
        assert before[each["previous"]] == "ACTIVE"
    after = {key["id"]: key["state"] for key in running.json("key", "list")}
    assert [after[each["previous"]] for each in done] == ["RETIRING"] * 2
    assert [after[each["signing"]] for each in done] == ["ACTIVE"] * 2
    assert {report.signing_key for report in running.reports().values()} == {done[0]["signing"]}
    running.run("key", "schedule", "--tokens", "0", expect=2)


def test_the_audit_trail_has_who_did_what_from_where(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "seen", "this is written down")
    running.run("concept", "get", tenant, "unseen", expect=5)
    events = eventually(lambda: _events(running, tenant))
    put = events["concept.put"]
    assert put["actor"].startswith("key:")
    assert put["session"]
    assert put["ip"].startswith("127.")
    assert put["result"] == "done"
    assert events["concept.get"]["result"] == "refused: not_found"
    assert "unseen" not in json.dumps(events)


def _events(running: Running, tenant: str) -> dict[str, dict[str, str]]:
    found = {event["action"]: event for event in running.json("audit", "trail", "--tenant", tenant)}
    assert {"tenant.onboard", "login", "concept.put", "concept.get"} <= set(found)
    return found


def test_data_survive_down_and_up(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "kept", "this survives the night")
    running.run("down", "--yes")
    assert running.platform.living() == frozenset()
    running.run("status", expect=3)
    running.run("up", "--yes")
    assert running.json("concept", "get", tenant, "kept")["text"] == "this survives the night"
