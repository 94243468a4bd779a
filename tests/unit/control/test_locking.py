"""The lock of a deployment, between real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cortexctl.errors import Locked, UsageError
from cortexctl.locking import lock, lock_path

HOLDER = """
import sys, time
from cortexctl.locking import lock
with lock("trial", "up --profile small"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_leaves_nothing(home: Path) -> None:
    with lock("trial", "up"):
        owner = json.loads(lock_path("trial").read_text())
        assert owner["pid"] == os.getpid()
    assert list(home.iterdir()) == []


def test_names_the_holder_its_command_and_its_age(home: Path) -> None:
    with holder() as process:
        with pytest.raises(Locked) as caught, lock("trial", "down"):
            pytest.fail("locked twice")
        assert f"Process {process.pid}" in caught.value.why
        assert "cortexctl up --profile small" in caught.value.why
        assert "0 s" in caught.value.why
        assert f"kill {process.pid}" in caught.value.todo
        with lock("other", "down"):
            pass
        process.communicate("")
    with lock("trial", "down"):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_holds_nothing(home: Path, number: signal.Signals) -> None:
    with holder() as process:
        process.send_signal(number)
        process.wait()
    assert lock_path("trial").exists()  # it had no time to tidy up
    with lock("trial", "down"):
        assert json.loads(lock_path("trial").read_text())["command"] == "down"
    assert not lock_path("trial").exists()


def test_only_one_of_many_holds_it(home: Path) -> None:
    code = """
import sys
from cortexctl.errors import Locked
from cortexctl.locking import lock
for _ in range(200):
    try:
        with lock("trial", "x"):
            path = sys.argv[1]
            open(path, "x").close()
            import os; os.unlink(path)
    except Locked:
        pass
"""
    witness = str(home / "witness")
    several = [subprocess.Popen([sys.executable, "-c", code, witness]) for _ in range(4)]
    assert [process.wait() for process in several] == [0, 0, 0, 0]


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]", "\x00" * 20])
def test_a_holder_that_has_not_said_who_it_is(home: Path, content: str) -> None:
    with holder() as process:
        lock_path("trial").write_text(content)
        with pytest.raises(Locked, match="locked"), lock("trial", "down"):
            pytest.fail("locked twice")
        process.communicate("")


def test_a_name_is_checked(home: Path) -> None:
    with pytest.raises(UsageError), lock("../trial", "up"):
        pytest.fail("locked a path")
