"""A tree of processes under init and supervisord: start it, stop it, ask whether it lives."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client  # nosec B411 - it asks our own supervisord, on this machine
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cortexctl.errors import CortexctlError
from cortexctl.platforms.local import processes, supervisor
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.processes import Process
from cortexctl.platforms.local.supervisor import Program, Supervisor

START_PATIENCE = 30.0
STOP_PATIENCE = 70.0
POLL = 0.05
NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error)
# Nothing else of the caller's environment gets in: it may hold credentials, and settings of libpq or Python.
INHERITED = ("PATH", "TZ", "TMPDIR", "CORTEX_KERNELS")


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree whose directory this is; `port` is its supervisor's."""

    directory: Path
    port: int

    def init(self) -> Process | None:
        """Return the tree's first process if it lives."""
        try:
            pid, start = (int(word) for word in (self.directory / "init.pid").read_text().split())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        found = processes.look(pid)
        return found if found and found.start == start and not found.dead else None

    def supervisor(self, *, timeout: float = 5.0) -> Supervisor:
        """Return its supervisor, which may not answer."""
        return Supervisor(self.directory, self.port, timeout=timeout)

    def states(self) -> dict[str, str]:
        """Return the state of every program, nothing when the tree does not live."""
        if self.init() is None:
            return {}
        try:
            return self.supervisor(timeout=10.0).states()  # a busy machine is no dead region
        except NO_ANSWER:
            return {}

    def members(self) -> list[Process]:
        """Return all that lives of the tree, with or without its init."""
        return processes.tree(self.directory)

    def start(self, account: Account, programs: Sequence[Program]) -> None:
        """Start the tree, after the end of what is left of an earlier one; wait for its supervisor.

        Raises CortexctlError when it doesn't.
        """
        processes.kill_tree(self.directory)
        supervisor.write(self.directory, self.port, programs)
        log = self.directory / "log" / "init.log"
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if account.owner:
                os.fchown(descriptor, *account.owner)
            started = subprocess.Popen(
                self._command(account), cwd=self.directory, env=self._environment(), stdin=subprocess.DEVNULL,
                stdout=descriptor, stderr=descriptor, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(descriptor)
        self._await_supervisor(started)

    def stop(self, *, patience: float = STOP_PATIENCE) -> None:
        """Stop the tree gently, then by force. Raises CortexctlError when something lives on."""
        first = self.init()
        if first:
            processes.send(first, signal.SIGTERM)
            processes.await_end([first], patience=patience)
        _, survivors = processes.kill_tree(self.directory)
        if survivors:
            raise CortexctlError(
                f"Something of {self.directory} lives on.",
                why=f"SIGKILL did not end {', '.join(map(str, survivors))}.",
                todo="Look at these processes; they may wait for a disk.",
            )
        with suppress(FileNotFoundError):
            (self.directory / "init.pid").unlink()

    def _command(self, account: Account) -> list[str]:
        init = str(Path(__file__).with_name("init.py"))
        server = (sys.executable, "-P", "-m", "supervisor.supervisord", "-c", "supervisord.conf")
        return [*account.prefix, sys.executable, "-I", "-S", init, *server]

    def _environment(self) -> dict[str, str]:
        environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
        place = str(self.directory.resolve())
        return environment | {
            "LANG": "C.UTF-8",
            "HOME": place,
            processes.MARK: place,
            "MALLOC_ARENA_MAX": "2",
        }

    def _await_supervisor(self, started: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_PATIENCE
        while time.monotonic() < until and started.poll() is None:
            if self.init() and self.states():
                return
            time.sleep(POLL)
        raise CortexctlError(
            f"The processes of {self.directory} did not start.",
            why="Its supervisor does not answer.",
            todo=f"Look at {self.directory}/log/init.log and supervisord.log.",
        )
