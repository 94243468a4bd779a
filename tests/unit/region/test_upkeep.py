"""What a tree's upkeep removes, what it leaves alone, and how a day's logs are put aside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cortexctl.platforms.local import regions, upkeep
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.supervisor import Program
from cortexctl.platforms.local.tree import Tree

from .test_tree import tree, until  # noqa: F401 - a fixture

DAY = 86_400.0
AGES = {"log": 90, "traces": 7, "metrics": 30}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A tree's directory with a policy; its logs were put aside just now."""
    found = tmp_path / "region"
    for part in AGES:
        (found / part).mkdir(parents=True)
    (found / "retention.json").write_text(json.dumps(AGES))
    (found / "log" / upkeep.MARK).touch()
    return found


def made(path: Path, *, days: float, content: str = "a line\n") -> Path:
    """Make a file that was written last so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def run(place: Path, supervisor: int, *, expect: int = 0) -> str:
    words = [sys.executable, "-I", "-S", str(Path(upkeep.__file__)), str(supervisor)]
    done = subprocess.run(words, cwd=place, text=True, capture_output=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stderr


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes down each SIGUSR2."""
    script = "trap 'echo opened >> signals' USR2; echo ready; while :; do sleep 0.02; done"
    process = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


def test_what_is_past_its_age_goes_and_all_else_stays(place: Path, supervisor: subprocess.Popen[str]) -> None:
    gone = [
        made(place / "log" / "etcd.20200101.log", days=91),
        made(place / "log" / "etcd.log.1", days=90.1),
        made(place / "log" / "left-node.log", days=400),  # nobody has it open any more
        made(place / "traces" / "deep" / "er" / "spans.jsonl", days=7.1),
        made(place / "metrics" / "block", days=31),
    ]
    stays = [
        made(place / "log" / "etcd.20200102.log", days=89.9),
        made(place / "traces" / "new", days=6.9),
        made(place / "metrics" / "block-2", days=8),
        made(place / "etcd" / "old", days=4000),  # of no directory of the policy
    ]
    run(place, supervisor.pid)
    assert [path for path in gone if path.exists()] == []
    assert all(path.exists() for path in stays)
    run(place, supervisor.pid)
    assert all(path.exists() for path in stays)


def test_nothing_outside_is_reached_by_links(place: Path, supervisor: subprocess.Popen[str]) -> None:
    outside = made(place.parent / "outside" / "file.log", days=4000)
    (place / "log" / "link.log").symlink_to(outside)
    os.utime(place / "log" / "link.log", (0, 0), follow_symlinks=False)
    (place / "log" / "directory").symlink_to(outside.parent)
    (place / "traces").rmdir()
    (place / "traces").symlink_to(outside.parent)
    run(place, supervisor.pid)
    assert outside.read_text() == "a line\n"
    assert (place / "log" / "link.log").is_symlink()


def test_the_file_that_is_written_is_emptied_and_never_removed(
    place: Path, supervisor: subprocess.Popen[str]
) -> None:
    current = place / "log" / "etcd.log"
    with current.open("a") as writer:
        writer.write("old\n")
        writer.flush()
        os.utime(current, (time.time() - 91 * DAY,) * 2)
        node = current.stat().st_ino
        run(place, supervisor.pid)
        assert current.read_text() == ""
        writer.write("new\n")
        writer.flush()
        os.utime(current, (time.time() - 89 * DAY,) * 2)
        run(place, supervisor.pid)
    assert (current.read_text(), current.stat().st_ino) == ("new\n", node)


@pytest.mark.parametrize(
    "content", ["{", '{"etcd": 1, "log": 1}', '{"log": "90"}', '{"log": 0}', '{"": 1}', "[]", "1"]
)
def test_a_damaged_policy_removes_nothing_and_is_told(
    place: Path, supervisor: subprocess.Popen[str], content: str
) -> None:
    old = made(place / "log" / "etcd.log.1", days=4000)
    (place / "retention.json").write_text(content)
    assert "Error" in run(place, supervisor.pid, expect=1)
    assert old.exists()


def test_without_a_policy_nothing_is_removed(place: Path, supervisor: subprocess.Popen[str]) -> None:
    old = made(place / "log" / "etcd.log.1", days=4000)
    (place / "retention.json").unlink()
    run(place, supervisor.pid)
    assert old.exists()


def test_a_days_logs_are_put_aside_once_under_the_day_that_they_began_on(
    place: Path, supervisor: subprocess.Popen[str]
) -> None:
    log = place / "log"
    for name in ("etcd.log", "supervisord.log", "init.log", "etcd.log.1", "empty.log"):
        (log / name).write_text("" if name == "empty.log" else f"{name}\n")
    yesterday = time.time() - DAY
    os.utime(log / upkeep.MARK, (yesterday, yesterday))
    run(place, supervisor.pid)
    day = time.strftime("%Y%m%d", time.gmtime(yesterday))
    names = {path.name for path in log.iterdir()} - {upkeep.MARK}
    assert names == {f"etcd.{day}.log", f"supervisord.{day}.log", "init.log", "etcd.log.1", "empty.log"}
    assert (log / f"etcd.{day}.log").read_text() == "etcd.log\n"
    signals = place.parent / "signals"
    until(signals.exists)
    (log / "etcd.log").write_text("today\n")
    run(place, supervisor.pid)
    assert (log / "etcd.log").read_text() == "today\n"
    assert signals.read_text() == "opened\n"


def test_a_run_that_was_killed_before_it_told_the_supervisor_is_finished(
    place: Path, supervisor: subprocess.Popen[str]
) -> None:
    yesterday = time.time() - DAY
    day = time.strftime("%Y%m%d", time.gmtime(yesterday))
    (place / "log" / f"etcd.{day}.log").write_text("put aside\n")
    (place / "log" / "etcd.log").write_text("opened since\n")
    os.utime(place / "log" / upkeep.MARK, (yesterday, yesterday))
    run(place, supervisor.pid)
    until((place.parent / "signals").exists)
    assert (place / "log" / f"etcd.{day}.log").read_text() == "put aside\n"
    assert (place / "log" / "etcd.log").read_text() == "opened since\n"


def test_a_supervisor_that_is_gone_and_a_first_run_are_nothing(
    place: Path, supervisor: subprocess.Popen[str]
) -> None:
    (place / "log" / "etcd.log").write_text("first\n")
    (place / "log" / upkeep.MARK).unlink()
    run(place, supervisor.pid)
    assert (place / "log" / "etcd.log").read_text() == "first\n"
    supervisor.kill()
    supervisor.wait()
    os.utime(place / "log" / upkeep.MARK, (0, 0))
    run(place, supervisor.pid)
    assert (place / "log" / "etcd.19700101.log").exists()


def test_a_real_tree_goes_on_in_a_new_file_and_loses_no_line(tree: Tree) -> None:  # noqa: F811
    words = "import time\nfor i in range(10**6): print(i, flush=True); time.sleep(0.01)"
    (tree.directory / "retention.json").write_text(json.dumps(AGES))
    mark, log = tree.directory / "log" / upkeep.MARK, tree.directory / "log" / "count.log"
    counting = Program("count", (sys.executable, "-c", words), 100, {})
    tree.start(Account(), [counting, replace(regions.upkeep(0.1), priority=999)])
    until(lambda: mark.exists() and log.exists() and log.stat().st_size > 50)
    os.utime(mark, (0, 0))
    aside = tree.directory / "log" / "count.19700101.log"
    until(lambda: aside.exists() and log.exists() and log.stat().st_size > 50)
    before, after = aside.read_text().split(), log.read_text().split()
    numbers = [int(number) for number in before + after[: len(after) - 1]]
    assert numbers == list(range(len(numbers)))
    assert (tree.directory / "log" / "supervisord.19700101.log").exists()
    assert "Traceback" not in (tree.directory / "log" / "upkeep.log").read_text()
