from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexctl.platforms.local import processes
from cortexctl.platforms.local.processes import Process

FIELDS = "0 " * 17


@given(st.text(st.characters(blacklist_characters="\0\n"), max_size=15), st.integers(1, 2**22))
def test_stat_is_read_whatever_the_name(name: str, pid: int) -> None:
    found = processes.parse_stat(f"{pid} ({name}) S 7 {FIELDS}4711 0 0\n")
    assert found == Process(pid, 4711, 7, "S", name)


@pytest.mark.parametrize("text", ["", "12", "12 (x) S 1", "x (y) S 1 " + FIELDS + "1"])
def test_stat_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        processes.parse_stat(text)


def test_descendants_are_found_across_generations_in_any_order() -> None:
    known = [Process(pid, 1, parent, "S", "x") for pid, parent in ((5, 4), (4, 3), (3, 1), (9, 1), (6, 3))]
    assert {process.pid for process in processes.descendants(known, [3])} == {3, 4, 5, 6}


def test_a_process_of_another_start_is_not_alive_and_gets_no_signal(sleeper: Process) -> None:
    other = Process(sleeper.pid, sleeper.start + 1, sleeper.parent, "S", sleeper.name)
    assert not processes.alive(other)
    processes.send(other, signal.SIGKILL)
    assert processes.alive(sleeper)


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: (found := processes.look(child.pid)) is not None and found.state == "Z")
    zombie = processes.look(child.pid)
    assert zombie
    assert zombie.dead
    assert not processes.alive(zombie)
    assert child.pid not in {process.pid for process in processes.every()}
    child.wait()


def test_a_tree_is_found_by_its_mark_even_when_parents_are_gone(tmp_path: Path) -> None:
    # The middle one ends at once: what it left has another parent, and an empty environment in its own child.
    script = "(env -i sleep 1000 & sleep 1000) & exit 0"
    mark = {**os.environ, processes.MARK: str(tmp_path.resolve())}
    subprocess.run(["/bin/sh", "-c", script], env=mark, check=True)
    until(lambda: len([one for one in processes.tree(tmp_path) if one.name == "sleep"]) == 2)
    ended, survivors = processes.kill_tree(tmp_path)
    assert [process.name for process in ended if process.name == "sleep"] == ["sleep", "sleep"]
    assert survivors == []
    assert processes.tree(tmp_path) == []
    assert processes.kill_tree(tmp_path) == ([], [])


def test_a_tree_that_keeps_forking_ends(tmp_path: Path) -> None:
    mark = {**os.environ, processes.MARK: str(tmp_path.resolve())}
    child = subprocess.Popen(
        ["/bin/sh", "-c", "while :; do sleep 0.01 & done"], env=mark, start_new_session=True
    )
    try:
        until(lambda: len(processes.tree(tmp_path)) > 2)
        _, survivors = processes.kill_tree(tmp_path)
    finally:
        child.kill()  # it would slow down whatever comes after
        child.wait()
    assert survivors == []
    assert processes.tree(tmp_path) == []


@pytest.fixture
def sleeper() -> Iterator[Process]:
    child = subprocess.Popen(["sleep", "1000"])
    found = processes.look(child.pid)
    assert found
    yield found
    child.kill()
    child.wait()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
