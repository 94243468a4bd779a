"""Deployments that a test makes and ends itself, by the real command line in a state home of their own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cortexctl import deployment as deployments
from cortexctl import ports
from cortexctl.deployment import Deployment

Done = subprocess.CompletedProcess[str]
UP_TIMEOUT = 240.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A deployment under test: its name, its state home, and what is set for all its commands."""

    name: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The deployment's directory."""
        return self.home / "cortexkg" / self.name

    @property
    def lock(self) -> Path:
        """The file that says who holds the deployment."""
        return self.directory.with_suffix(".lock")

    @property
    def model(self) -> Deployment:
        """The deployment as its file describes it."""
        found = deployments.read(self.directory / "deployment.yaml")
        assert found.name == self.name
        return found

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start cortexctl on this deployment, without a terminal."""
        # Tests that run in the background of a script inherit that Ctrl-C is ignored.
        restored = ["env", "--default-signal=INT"]
        process = subprocess.Popen(
            [*restored, sys.executable, "-P", "-m", "cortexctl.main", *arguments],
            env=self._environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def cortexctl(self, *arguments: str, code: int | None = 0, timeout: float = UP_TIMEOUT) -> Done:
        """Run cortexctl on this deployment, and expect an exit code unless it is None."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"cortexctl {arguments} took more than {timeout} s\n{out}\n{err}\n{self.logs()}")
        done = subprocess.CompletedProcess(arguments, process.returncode, out, err)
        if code is not None and done.returncode != code:
            pytest.fail(f"cortexctl {arguments} exited with {done.returncode}\n{out}\n{err}\n{self.logs()}")
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """Run cortexctl with --output json and return what it printed."""
        return json.loads(self.cortexctl(*arguments, "--output", "json", code=code).stdout)

    def status(self, code: int | None = None) -> Any:
        """Return what status says, healthy or not."""
        return self.json("status", code=code)

    def logs(self, lines: int = 15) -> str:
        """Return the tails of all logs."""
        found = []
        for path in sorted(self.directory.rglob("*.log")):
            with suppress(OSError):
                tail = path.read_text(errors="replace").splitlines()[-lines:]
                found.append("\n  ".join((f"== {path.relative_to(self.directory)}", *tail)))
        return "\n".join(found)

    def processes(self) -> list[str]:
        """Return the processes, as pid and command, that carry this state home or its files."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if str(self.home).encode() in command + (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')}")
        return [line for line in found if int(line.split()[0]) != os.getpid()]

    def ports_in_use(self) -> list[int]:
        """Return the ports of the deployment's whole block on which somebody listens."""
        model = self.model
        return ports.in_use(range(model.first_port, model.last_port + 1))

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "XDG_STATE_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config"),
            "CORTEXCTL_DEPLOYMENT": self.name,
        } | self.environment  # fmt: skip


@contextmanager
def trial(**environment: str) -> Iterator[Trial]:
    """Give a deployment that isn't up yet; end and remove whatever becomes of it."""
    # Not pytest's own directory: the paths of sockets must be short.
    home = Path(tempfile.mkdtemp(prefix="cortexkg-"))
    made = Trial(f"t-{secrets.token_hex(3)}", home, environment)
    made.directory.parent.mkdir()
    tools = deployments.state_home() / ".tools"
    tools.mkdir(parents=True, exist_ok=True)
    (made.directory.parent / ".tools").symlink_to(tools)  # fetched once for all tests
    try:
        yield made
    finally:
        for process in made.started:
            process.kill()
            process.wait()
        made.cortexctl("down", code=None)
        left = made.processes()
        shutil.rmtree(home, ignore_errors=True)
        assert not left, f"left running: {left}"
