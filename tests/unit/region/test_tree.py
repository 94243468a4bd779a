"""Real trees of small programs, in a directory with a nasty name."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cortexctl.platforms.local import processes, supervisor
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.supervisor import Program
from cortexctl.platforms.local.tree import Tree

from .conftest import NASTY

INIT = Path(processes.__file__).with_name("init.py")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tmp_path / NASTY
    for part in ("log", "run"):
        (directory / part).mkdir(parents=True)
    found = Tree(directory, port)
    yield found
    processes.kill_tree(directory)


def sleeping(name: str, **more: object) -> Program:
    return Program(name, ("sleep", "1000"), 100, {}, **more)  # type: ignore[arg-type]


def test_it_starts_and_stops_and_both_may_be_repeated(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one"), sleeping("two")])
    assert set(tree.states()) == {"one", "two"}
    assert tree.init()
    tree.stop()
    assert tree.members() == []
    assert tree.states() == {}
    assert tree.init() is None
    tree.stop()


def test_environment_and_arguments_arrive_as_they_are(tree: Tree) -> None:
    words = ("a b", "50%", "ü", "; # ' \" $HOME", "%(here)s")
    script = (
        "import os, sys; print(sys.argv[1:], os.environ['WORD'], flush=True); import time; time.sleep(99)"
    )
    tree.start(Account(), [Program("echo", (sys.executable, "-c", script, *words), 100, {"WORD": words[3]})])
    log = tree.directory / "log" / "echo.log"
    until(lambda: log.exists() and log.read_text() != "")
    assert log.read_text() == f"{list(words)} {words[3]}\n"


def test_nothing_of_the_callers_environment_gets_in(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    tree.start(Account(), [sleeping("one")])
    for process in tree.members():
        content = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"PGPASSWORD" not in content
        assert b"PYTHONPATH" not in content


def test_nothing_of_it_writes_its_memory_when_it_crashes(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    for process in tree.members():
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), process


def test_the_supervisor_asks_for_a_password_that_no_other_user_can_read(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    with socket.create_connection(("127.0.0.1", tree.port)) as connection:
        connection.sendall(b"POST /RPC2 HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        assert b"401" in connection.recv(1024).split(b"\r\n")[0]
    for name in ("supervisor.secret", "supervisord.conf", "run/one.sh"):
        assert (tree.directory / name).stat().st_mode & 0o077 == 0


def test_a_program_that_dies_is_started_again(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    until(lambda: tree.supervisor().pid("one") > 0)
    first = tree.supervisor().pid("one")
    until(lambda: tree.states()["one"] == "RUNNING")
    os.kill(first, signal.SIGKILL)
    until(lambda: tree.supervisor().pid("one") not in (0, first))


def test_a_program_that_is_held_only_waits(tree: Tree) -> None:
    (tree.directory / "off").touch()
    touch = Program("touch", ("touch", "it-ran"), 100, {}, prelude="[ ! -e off ] || exec sleep infinity")
    tree.start(Account(), [touch])
    until(lambda: tree.states()["touch"] == "RUNNING")
    assert not (tree.directory / "it-ran").exists()


def test_programs_come_and_go_while_it_runs(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    supervisor.write(tree.directory, tree.port, [sleeping("one"), sleeping("two")])
    before = tree.supervisor().pid("one")
    for _ in range(2):
        tree.supervisor().add("two")
    until(lambda: tree.states().get("two") == "RUNNING")
    for _ in range(2):
        tree.supervisor().stop("two")
        tree.supervisor().remove("two")
    assert set(tree.states()) == {"one"}
    assert tree.supervisor().pid("one") == before


def test_a_region_that_is_killed_is_gone_and_starts_again(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    until(lambda: tree.supervisor().pid("one") > 0)
    ended, survivors = processes.kill_tree(tree.directory)
    assert len(ended) == 3
    assert survivors == []
    assert tree.init() is None
    tree.start(Account(), [sleeping("one")])
    assert tree.init()


def test_when_the_supervisor_dies_nothing_is_left(tree: Tree) -> None:
    tree.start(Account(), [sleeping("one")])
    init = tree.init()
    assert init
    until(lambda: len(tree.members()) == 3)
    server = next(process for process in tree.members() if process.parent == init.pid)
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: tree.members() == [])


def test_a_postmaster_that_left_its_parent_ends_with_the_tree(tree: Tree) -> None:
    leaving = "setsid sleep 1000 & sleep 1000"
    tree.start(Account(), [Program("patroni", ("/bin/sh", "-c", leaving), 100, {})])
    until(lambda: len([one for one in tree.members() if one.name == "sleep"]) == 2)
    tree.stop()
    assert tree.members() == []


def test_an_orphaned_backend_is_ended_and_a_postmaster_is_not(tmp_path: Path) -> None:
    # The child of the supervisor ends and leaves both behind: init inherits them.
    leaving = """
    bash -c '(exec -a "postgres: lost" sleep 1000) & (exec -a /x/bin/postgres sleep 1000) & kill -9 $$'
    sleep 1000
    """
    mark = {**os.environ, processes.MARK: str(tmp_path.resolve())}
    command = [sys.executable, "-I", "-S", str(INIT), "/bin/bash", "-c", leaving]
    init = subprocess.Popen(command, cwd=tmp_path, env=mark, stderr=subprocess.DEVNULL)
    try:
        until(lambda: "/x/bin/postgres" in titles(tmp_path))
        until(lambda: "postgres: lost" not in titles(tmp_path))
        assert "/x/bin/postgres" in titles(tmp_path)
        init.terminate()
        assert init.wait(timeout=10) == 0
        assert processes.tree(tmp_path) == []
        assert not (tmp_path / "init.pid").exists()
    finally:
        processes.kill_tree(tmp_path)
        init.wait()


def titles(directory: Path) -> list[str]:
    found = []
    for process in processes.tree(directory):
        with suppress(FileNotFoundError):
            found.append(Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[0].decode())
    return found


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
