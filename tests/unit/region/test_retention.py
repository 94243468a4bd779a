"""The policy, and what of it is set in the trees of a deployment."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psycopg.conninfo
import pytest

from cortexctl import policies, retention
from cortexctl.deployment import Deployment
from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.platforms.base import KeptFiles
from cortexctl.platforms.local import LocalPlatform, preparation, upkeep
from cortexctl.platforms.local import retention as files
from cortexctl.platforms.local.account import Account
from cortexctl.retention import setting

DAYS = {"logs": 90, "traces": 7, "metrics": 30}


@pytest.fixture
def platform(deployment: Deployment) -> LocalPlatform:
    for region in deployment.regions:
        (region.directory / "log").mkdir(parents=True)
    return LocalPlatform(deployment)


def test_the_policy_is_what_it_must_be_at_least() -> None:
    policy = retention.load()
    assert (policy.logs, policy.traces, policy.metrics, policy.audit) == (
        "90 days", "7 days", "30 days", "7 years"
    )  # fmt: skip
    assert retention.days("7 years") == 2555
    assert retention.days("1 day") == 1
    assert set(retention.FILES) == set(files.DIRECTORIES)
    assert set(files.DIRECTORIES.values()) == set(upkeep.DIRECTORIES)


@pytest.mark.parametrize(
    "age", ["90", "0 days", "1 days", "2 day", "-1 days", "3 months", "90 days\n", "all"]
)
def test_an_age_that_is_none_is_refused(age: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"logs": age, "traces": "7 days", "metrics": "30 days", "audit": "7 years"}
    (tmp_path / "retention.yaml").write_text(json.dumps(content))
    monkeypatch.setattr(policies, "find", lambda name: tmp_path / name)
    with pytest.raises(Refused, match="not usable"):
        retention.load()


def test_trees_are_told_and_say_what_they_were_told(platform: LocalPlatform, deployment: Deployment) -> None:
    assert {one.days for one in platform.kept_files()} == {None}
    for _ in range(2):
        platform.keep_files(DAYS)
    told = {(one.place, one.what): one.days for one in platform.kept_files()}
    assert told == {
        (region, what): days for region in deployment.nodes_a_region for what, days in DAYS.items()
    }
    path = deployment.regions[0].directory / files.FILE
    assert json.loads(path.read_bytes()) == {"log": 90, "traces": 7, "metrics": 30}
    path.write_text("{damaged")
    assert platform.kept_files()[0].days is None


def test_the_oldest_file_is_told_and_no_link_counts(platform: LocalPlatform, deployment: Deployment) -> None:
    log = deployment.regions[0].directory / "log"
    for name, days in (("a.log", 3), ("b.log", 50), ("empty.log", 100)):
        (log / name).write_text("" if name == "empty.log" else "x")
        os.utime(log / name, (time.time() - days * 86_400,) * 2)
    (log / "link.log").symlink_to("/etc/passwd")
    oldest = {(one.place, one.what): one.oldest for one in platform.kept_files()}
    found = oldest["eu-west", "logs"]
    assert found is not None
    assert abs(time.time() - found.timestamp() - 50 * 86_400) < 60
    assert oldest["us-east", "logs"] is None


def test_what_would_go_sooner_is_told_as_shorter(platform: LocalPlatform, deployment: Deployment) -> None:
    def shorter(kept: KeptFiles, logs: str = "90 days") -> list[bool]:
        policy = retention.Policy(logs=logs, traces="7 days", metrics="30 days", audit="7 years")
        return [change.shorter for change in setting.of_files(policy, [kept])]

    for region in deployment.regions:
        (region.directory / "log" / "a.log").write_text("x")
    platform.keep_files(DAYS)
    kept = platform.kept_files()[0]
    assert shorter(kept) == []
    assert shorter(kept, "91 days") == [False]
    assert shorter(kept, "89 days") == [True]
    (deployment.regions[0].directory / files.FILE).unlink()
    assert shorter(platform.kept_files()[0]) == [False]  # a new deployment asks nobody
    os.utime(deployment.regions[0].directory / "log" / "a.log", (0, 0))
    assert shorter(platform.kept_files()[0]) == [True]  # one from before it was enforced does


def test_the_owner_proves_itself_by_certificate_and_password(
    platform: LocalPlatform, deployment: Deployment
) -> None:
    with pytest.raises(Refused, match="cannot be asked"):
        platform.owner()
    preparation.prepare(deployment, Account())
    found = psycopg.conninfo.conninfo_to_dict(platform.owner())
    assert found["sslmode"] == "verify-full"
    assert found["target_session_attrs"] == "read-write"
    assert Path(str(found["sslcert"])).name == "role-postgres.pem"
    assert Path(str(found["passfile"])).is_file()
    assert len(str(found["port"]).split(",")) == 3
    with pytest.raises(ObjectiveMissed, match="could not be looked at"):  # nothing runs
        retention.changes(retention.load(), platform)
