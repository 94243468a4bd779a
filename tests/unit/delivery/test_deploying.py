"""Deploying and going back: the real scripts, with stand-ins for the cluster and for what looks at it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
STANDIN = Path(__file__).with_name("standin.py")
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@dataclass
class Cluster:
    """A checkout's scripts, and a cluster that only remembers."""

    home: Path

    def set(self, **what: Any) -> None:
        known: dict[str, Any] = {
            "revisions": [["deployed", OLD]], "validated": "1", "failing": [], "bad": [], "refuses": False,
            "code": 3,
        }  # fmt: skip
        (self.home / "cluster.json").write_text(json.dumps(known | what))

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "cluster.json").read_text()))

    def calls(self, start: str = "") -> list[str]:
        path = self.home / "calls"
        return (
            [line for line in path.read_text().splitlines() if line.startswith(start)]
            if path.exists()
            else []
        )

    def run(self, script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.home / "scripts" / "ci" / f"{script}.sh", *words],
            env={
                **os.environ, "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "STANDIN": str(self.home),
                "IMAGE_DIGEST": NEW, "NAMESPACE": "graph", "RELEASE": "cortexkg", **environment,
            },
            text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip

    def deploy(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("deploy", str(self.home / "values.yaml"), **environment)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    shutil.copytree(ROOT / "scripts" / "ci", tmp_path / "scripts" / "ci")
    (tmp_path / "bin").mkdir()
    for name in ("bin/helm", "bin/kubectl", "scripts/health-check.sh", "scripts/performance-validation.sh"):
        shutil.copy(STANDIN, tmp_path / name)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "values.yaml").write_text("region: eu-west\n")
    made = Cluster(tmp_path)
    made.set()
    return made


def test_a_good_one_is_deployed_looked_at_and_kept_as_good(cluster: Cluster) -> None:
    done = cluster.deploy(PERFORMANCE="--read-p99 50 --offer 20")
    assert done.returncode == 0, done.stderr
    (upgrade,) = cluster.calls("helm upgrade")
    assert "--install --namespace graph" in upgrade
    assert f"--set-string image.digest={NEW}" in upgrade
    assert len(cluster.calls("kubectl rollout status")) == 2
    assert cluster.calls("health-check.sh") == ["health-check.sh --wait 120 --count 3"]
    assert cluster.calls("performance-validation.sh") == [
        "performance-validation.sh --read-p99 50 --offer 20"
    ]
    assert cluster.calls("helm rollback") == []
    assert cluster.state()["validated"] == "2"


def test_the_first_one_needs_nothing_before_it(cluster: Cluster) -> None:
    cluster.set(revisions=[], validated="")
    assert cluster.deploy().returncode == 0
    assert cluster.state()["validated"] == "1"


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        ("kubectl rollout", 3),
        ("health-check.sh", 3),
        ("health-check.sh", 7),
        ("performance-validation.sh", 3),
    ],
)
def test_one_that_is_not_good_is_taken_back_and_the_deployment_fails(
    cluster: Cluster, fails: str, code: int
) -> None:
    cluster.set(failing=[[fails, 2]], code=code)
    done = cluster.deploy()
    assert done.returncode == code, done.stderr
    assert cluster.calls("helm rollback") == [
        "helm rollback cortexkg 1 --namespace graph --wait --timeout 600s"
    ]
    assert cluster.state()["revisions"][-1] == ["deployed", OLD]
    assert cluster.calls("health-check.sh")[-1] == "health-check.sh --wait 300 --count 3"
    assert cluster.state()["validated"] == "3"


def test_an_upgrade_that_fails_half_way_is_taken_back(cluster: Cluster) -> None:
    cluster.set(bad=[NEW])
    assert cluster.deploy().returncode == 3
    assert len(cluster.calls("helm rollback cortexkg 1 ")) == 1
    assert cluster.calls("performance-validation.sh") == []


def test_an_upgrade_that_was_refused_changes_nothing(cluster: Cluster) -> None:
    cluster.set(refuses=True)
    done = cluster.deploy()
    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    assert cluster.calls("helm rollback") == []


def test_what_was_never_validated_is_not_gone_back_to(cluster: Cluster) -> None:
    """Revision 2 was left by a run that was killed before it had looked."""
    cluster.set(
        revisions=[["superseded", OLD], ["deployed", "sha256:never looked at"]], failing=[["health", 3]]
    )
    assert cluster.deploy().returncode == 3
    assert len(cluster.calls("helm rollback cortexkg 1 ")) == 1
    assert cluster.state()["revisions"][-1] == ["deployed", OLD]


def test_what_an_upgrade_that_was_killed_left_is_put_right_first(cluster: Cluster) -> None:
    cluster.set(revisions=[["deployed", OLD], ["pending-upgrade", NEW]])
    done = cluster.deploy()
    assert done.returncode == 0, done.stderr
    changes = [call.split()[1] for call in cluster.calls("helm ")]
    assert changes == ["rollback", "upgrade"]
    assert cluster.state()["validated"] == "4"


def test_without_anything_to_go_back_to_it_says_so(cluster: Cluster) -> None:
    cluster.set(revisions=[], validated="", failing=[["health", 1]])
    done = cluster.deploy()
    assert done.returncode == 3
    assert "no revision of cortexkg to go back to" in done.stderr
    assert "Somebody has to look at it now" in done.stderr
    assert cluster.calls("helm rollback") == []


@pytest.mark.parametrize("fails", ["helm rollback", "health-check.sh"])
def test_going_back_that_fails_is_no_success(cluster: Cluster, fails: str) -> None:
    at = 2 if fails.startswith("helm") else 3
    cluster.set(failing=[["performance", 2], [fails, at]])
    done = cluster.deploy()
    assert done.returncode == 3
    assert "could not be brought back" in done.stderr
    assert cluster.state()["validated"] == "1"


def test_a_cluster_that_does_not_answer_is_not_taken_for_an_empty_one(cluster: Cluster) -> None:
    cluster.set(failing=[["kubectl get secrets", 1]])
    assert cluster.deploy().returncode != 0
    assert cluster.calls("helm") == []


@pytest.mark.parametrize("digest", ["", "latest", "sha256:ab", OLD + "0"])
def test_an_image_without_a_digest_is_refused(cluster: Cluster, digest: str) -> None:
    done = cluster.deploy(IMAGE_DIGEST=digest)
    assert done.returncode == 2
    assert "IMAGE_DIGEST" in done.stderr
    assert cluster.calls() == []


def test_a_missing_program_is_named(cluster: Cluster) -> None:
    (cluster.home / "bin" / "helm").unlink()
    done = cluster.deploy(PATH=f"{cluster.home / 'bin'}:/usr/bin:/bin")
    if shutil.which("helm", path="/usr/bin:/bin"):
        pytest.skip("this machine has helm in /usr/bin")
    assert done.returncode == 5
    assert "helm is missing" in done.stderr


def test_going_back_by_hand(cluster: Cluster) -> None:
    assert cluster.run("rollback").returncode == 0  # nothing to go back from
    assert cluster.calls("helm rollback") == []
    cluster.set(revisions=[["superseded", OLD], ["deployed", NEW]])
    assert cluster.run("rollback").returncode == 0
    assert len(cluster.calls("helm rollback cortexkg 1 ")) == 1


@pytest.mark.parametrize("script", ["health-check", "performance-validation"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, script: str) -> None:
    shutil.copytree(ROOT / "scripts" / "ci", tmp_path / "ci")
    shutil.copy(ROOT / "scripts" / f"{script}.sh", tmp_path)
    environment = os.environ | {"CORTEX_LIMIT": "soon", "CORTEX_TENANT": "acme"}
    done = subprocess.run(
        [tmp_path / f"{script}.sh"], env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert "CORTEX_LIMIT is soon" in done.stderr
