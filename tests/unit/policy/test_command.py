"""cortexctl policy in a real subprocess: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.policy.examples import examples, plan
from unit.policy.region import plan as region
from unit.policy.region import values

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs cortexctl policy, with a state home of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CORTEXCTL_DEPLOYMENT", raising=False)

    def run(*arguments: str, stdin: str = "", name: str = "default") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cortexctl.main", "--deployment", name, "policy", *arguments],
            input=stdin, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def flipped(tmp_path: Path) -> str:
    """Return the name of a file with a plan that one rule denies."""
    content = region()
    next(values(content, "aws_rds_cluster"))["storage_encrypted"] = False
    path = tmp_path / 'a "plan" of ours.json'
    path.write_text(json.dumps(content))
    return str(path)


def test_a_plan_that_passes(policy: Run) -> None:
    done = policy("check", "--plan", "-", "--output", "json", stdin=json.dumps(region()))
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    assert "17 rules pass -." in done.stderr


def test_a_plan_that_is_denied(policy: Run, flipped: str) -> None:
    done = policy("check", "--plan", flipped, "--output", "json")
    assert done.returncode == 5
    [row] = json.loads(done.stdout)
    assert (row["rule"], row["severity"]) == ("encryption_at_rest", "critical")
    assert row["address"] == "module.database.aws_rds_cluster.this"
    assert row["message"].startswith(
        f"{row['address']}: it is not encrypted where it lies. Set storage_encrypted"
    )
    assert "what to do:" in done.stderr


def test_explained(policy: Run, flipped: str) -> None:
    done = policy("check", "--plan", flipped, "--explain", "--output", "yaml")
    assert done.returncode == 5
    rows: list[dict[str, Any]] = yaml.safe_load(done.stdout)
    assert len(rows) == 17
    for row in rows:
        assert row["verdict"] == ("denied" if row["rule"] == "encryption_at_rest" else "passed")
        assert row["title"]
        assert row["remedy"]
        assert row["looked_at"]
        assert ("storage_encrypted" if row["verdict"] == "denied" else "Nothing is wrong") in row["why"]


def test_manifests(policy: Run, tmp_path: Path) -> None:
    for kind, code in (("pass", 0), ("fail", 5)):
        example = next(e for e in examples("kubernetes") if (e.rule, e.kind) == ("host_access", kind))
        text = yaml.safe_dump_all(example.content)
        (tmp_path / "manifests.yaml").write_text(text)
        for name, stdin in (("-", text), (str(tmp_path / "manifests.yaml"), "")):
            done = policy("check", "--manifests", name, "--output", "json", stdin=stdin)
            assert (done.returncode, {row["rule"] for row in json.loads(done.stdout)}) == (
                code,
                {"host_access"} if code else set(),
            ), done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "Give either --plan or --manifests"),
        (["check", "--plan", "-", "--manifests", "-"], "Give either --plan or --manifests"),
        (["check", "--plan", "no-such-file"], "cannot be read"),
        (["check", "--plan", "."], "cannot be read"),
        (["check", "--plan", "-"], "- is no plan of Terraform"),
        (["check", "--manifests", "-"], "- has no manifests of Kubernetes"),
        (["check", "--plan", "-", "--output", "xml"], "--output"),
    ],
)
def test_words_that_are_off(policy: Run, arguments: list[str], says: str) -> None:
    done = policy(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_deployment_that_is_not_there(policy: Run) -> None:
    done = policy("check", "--plan", "-", stdin=json.dumps(plan([], ())), name="other")
    assert done.returncode == 5
    assert "There is no deployment 'other'" in done.stderr


def test_what_a_deployment_says_of_itself_counts(policy: Run, flipped: str, tmp_path: Path) -> None:
    """An unprotected one may be deletable; nothing else of it is forgiven."""
    content = region()
    next(values(content, "aws_rds_cluster"))["deletion_protection"] = False
    place = tmp_path / "state/cortexkg/trial"
    place.mkdir(parents=True)
    own: dict[str, Any] = {
        "name": "trial", "id": "trial-1", "profile": "small", "platform": "local", "first_port": 20000,
        "nodes_a_region": {"eu-west": 1},
    }  # fmt: skip
    for said, code, denied in (
        ({}, 5, 1),
        ({"protected": False}, 0, 0),
        ({"protected": False, "tags": ["owner"]}, 5, 100),
        ({"regions": ["eu-west-1"]}, 5, 100),
        ({"protected": "no"}, 5, None),
        ({"protection": False}, 5, None),
    ):
        (place / "deployment.yaml").write_text(yaml.safe_dump(own | {"policy": said}))
        done = policy("check", "--plan", "-", "-o", "json", stdin=json.dumps(content), name="trial")
        assert done.returncode == code, done.stderr
        if denied is None:
            assert "The policy of deployment 'trial' is not usable." in done.stderr
        else:
            assert len(json.loads(done.stdout)) >= denied
    done = policy("check", "--plan", flipped, name="trial")
    assert done.returncode == 5


def test_the_list_of_rules(policy: Run) -> None:
    done = policy("list", "--output", "json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert {row["subject"] for row in rows} == {"terraform", "kubernetes"}
    assert all(row["title"] and row["description"] and row["remedy"] and row["looks_at"] for row in rows)
    assert "storage" not in policy("list").stderr
