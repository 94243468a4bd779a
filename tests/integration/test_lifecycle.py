"""up, status and down of real deployments: both ways of Terraform, repeated, interrupted, put right."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cortexctl import platforms
from cortexctl.platforms.base import Platform
from integration.running import Running, eventually, frozen
from integration.trial import Trial, trial


def path_without_terraform() -> str:
    """Return the PATH without the directories that have a Terraform."""
    parts = [part for part in os.environ["PATH"].split(os.pathsep) if part]
    return os.pathsep.join(
        part for part in parts if not any(Path(part, name).exists() for name in ("terraform", "tofu"))
    )


def assert_ended(made: Trial) -> None:
    assert made.processes() == []
    assert made.ports_in_use() == []
    assert not made.lock.exists()


def assert_held(lock: Path, pid: int) -> None:
    """A file alone says nothing: one that was killed leaves its own behind."""
    assert lock.exists()
    assert f'"pid": {pid},' in lock.read_text()


def assert_healthy(made: Trial) -> None:
    assert made.status()["healthy"]


def lasting(platform: Platform, region: str) -> set[str]:
    """Return the processes of a region that nothing but a restart changes."""
    names = ("etcd", "haproxy", "patroni", "supervisord")
    return {one for one in platform.region_processes(region) if any(name in one for name in names)}


def node_pid(made: Trial, node: str) -> int:
    """Return the pid of a node's runtime."""
    for line in made.processes():
        if "cortex_runtime.main" in line and line.rstrip().endswith(f"{node}.json"):
            return int(line.split()[0])
    pytest.fail(f"{node} isn't running: {made.processes()}")


@pytest.mark.parametrize("program", ["terraform", "cortex-terraform"])
def test_up_status_down_with(program: str) -> None:
    if program == "terraform" and not shutil.which("terraform"):
        pytest.skip("terraform is not on the PATH")
    path = os.environ["PATH"] if program == "terraform" else path_without_terraform()
    with trial(PATH=path) as made:
        done = made.cortexctl("up", "--profile", "small")
        assert program in done.stderr
        for says in (made.name, made.model.edge_url, "healthy", "3/3"):
            assert says in done.stdout

        status = made.status(code=0)
        assert status["healthy"]
        assert status["durability"] == "global: two of three regions"
        assert sorted(region["role"] for region in status["regions"]) == ["primary", "standby", "standby"]
        assert {node["name"] for node in status["nodes"]} == {"eu-west-1", "us-east-1", "ap-south-1"}
        assert {node["status"] for node in status["nodes"]} == {"healthy"}

        before = made.processes()
        again = made.cortexctl("up")
        assert "Nothing was changed" in again.stderr
        assert sorted(made.processes()) == sorted(before)
        assert "Nothing to do" in made.cortexctl("up", "--dry-run").stderr

        made.cortexctl("down")
        assert_ended(made)
        assert (made.directory / "deployment.yaml").exists()
        assert made.status(code=3)["nodes"][0]["status"] == "lost"
        made.cortexctl("down")  # again: nothing is left to do
        made.cortexctl("down", "--delete-data", "--yes")
        assert not made.directory.exists()


def test_what_died_is_back_by_itself_or_by_up() -> None:
    with trial() as made:
        made.cortexctl("up", "--profile", "small")
        platform = platforms.of(made.model)
        others = lasting(platform, "us-east") | lasting(platform, "ap-south")
        pid = node_pid(made, "eu-west-1")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: assert_healthy(made))  # by its supervisor
        assert node_pid(made, "eu-west-1") != pid

        platform.kill_region("eu-west")
        assert made.status(code=3)["regions"][0]["status"] == "lost"
        planned = made.json("up", "--dry-run")
        assert {(one["root"], one["action"]) for one in planned} == {("eu-west", "replace")}
        made.cortexctl("up")
        assert_healthy(made)
        assert lasting(platform, "us-east") | lasting(platform, "ap-south") == others


def test_an_up_or_down_that_is_ended_in_the_middle_is_finished_by_the_next() -> None:
    with trial() as made:
        for seconds, number, code in (
            (0.4, signal.SIGKILL, -signal.SIGKILL),
            (2.0, signal.SIGINT, 130),
            (4.0, signal.SIGKILL, -signal.SIGKILL),
        ):
            process = made.start("up", "--profile", "small")
            with pytest.raises(subprocess.TimeoutExpired):
                process.communicate(timeout=seconds)
            process.send_signal(number)
            process.communicate(timeout=60)
            assert process.returncode == code

        process = made.start("up")
        eventually(lambda: assert_held(made.lock, process.pid))
        with frozen(process.pid):
            assert_held(made.lock, process.pid)
            done = made.cortexctl("down", code=6)
        assert f"Process {process.pid}" in done.stderr
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
        assert_healthy(made)

        process = made.start("down")
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=1.0)
        process.kill()
        process.communicate()
        made.cortexctl("down")
        assert_ended(made)


def test_two_deployments_do_not_meet(running: Running) -> None:
    with trial() as other:
        other.cortexctl("up", "--profile", "small")
        mine, its = running.deployment, other.model
        assert mine.last_port < its.first_port or its.last_port < mine.first_port
        running.run("status")


def test_a_damaged_state_does_not_keep_down_from_ending_it() -> None:
    with trial() as made:
        made.cortexctl("up", "--profile", "small")
        (made.directory / "terraform" / "us-east" / "terraform.tfstate").write_text("{")
        done = made.cortexctl("down")
        assert "Ending the processes without it" in done.stderr
        assert_ended(made)
        made.cortexctl("up")
