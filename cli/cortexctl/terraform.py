"""The only place that runs Terraform: one `Root` for each root module and its state.

python-terraform starts the processes; what it gets wrong with today's Terraform is put right here. It has
no notion of an environment, so that ours is set, under a lock, for the moment in which it starts one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortexctl import durable
from cortexctl.errors import CortexctlError

STACKS = Path(__file__).resolve().parents[2] / "terraform" / "stacks"
# A terraform whose cortexctl was killed goes on for a while; its lock on the state is waited for.
STATE_LOCK_PATIENCE = "120s"
INTERRUPT_PATIENCE = 15.0
_environment_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()


class TerraformError(CortexctlError):
    """Terraform failed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of progress. `kind` is Terraform's own; address and action are empty where it has none."""

    root: str
    kind: str
    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, or a plan would do: actions (create, delete, replace) by address, and outputs."""

    actions: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """True when there is anything to do, or something was done."""
        return bool(self.actions)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that waits to be applied: actions by address, and what `terraform show -json` prints of it."""

    actions: dict[str, str]
    document: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """A root module (`stack`, below terraform/stacks) whose state and data are in `directory`.

    `binary` is terraform, tofu or cortex-terraform; `on_event` is called for each line of progress, in the
    thread that runs the root.
    """

    name: str
    stack: str
    directory: Path
    binary: Path
    on_event: Callable[[Event], None]

    @property
    def log(self) -> Path:
        """All that Terraform printed in its last run."""
        return self.directory / "terraform.log"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.directory / "terraform.tfstate"

    def plan(self, variables: Mapping[str, Any], *, replace: Sequence[str] = ()) -> Outcome:
        """Return what apply would do; only this root's own directory is written. Raises TerraformError."""
        self._prepare(variables)
        return self._run("plan", replace=list(replace), var_file=str(self._variables), detailed_exitcode=True)

    def apply(self, variables: Mapping[str, Any], *, replace: Sequence[str] = ()) -> Outcome:
        """Make everything as the stack and the variables say, and `replace` anew. Raises TerraformError."""
        self._prepare(variables)
        return self._run("apply", replace=list(replace), var_file=str(self._variables), auto_approve=True)

    def propose(self, variables: Mapping[str, Any], *, replace: Sequence[str] = ()) -> Proposal:
        """Plan what `apply` would do, and keep the plan until it is discarded. Raises TerraformError."""
        self._prepare(variables)
        found = self._run(
            "plan", replace=list(replace), var_file=str(self._variables), out=str(self._plan),
            detailed_exitcode=True,
        )  # fmt: skip
        return Proposal(found.actions, self._show())

    def carry_out(self, proposal: Proposal) -> Outcome:
        """Apply the plan that was proposed: that one, whatever has changed since. Raises TerraformError."""
        # Terraform keeps no ephemeral variables in a plan: they are given once more.
        done = self._run("apply", str(self._plan), var_file=str(self._variables), auto_approve=True)
        return Outcome(proposal.actions, done.outputs)

    def discard(self) -> None:
        """Remove the plan that was proposed, if there is one: secrets are in it."""
        self._plan.unlink(missing_ok=True)

    def destroy(self) -> Outcome:
        """End everything that the state knows. Raises TerraformError."""
        if not self.state.exists():
            return Outcome()
        self._initialise()
        return self._run("destroy", var_file=str(self._variables), auto_approve=True)

    @property
    def _variables(self) -> Path:
        return self.directory / "variables.tfvars.json"

    @property
    def _plan(self) -> Path:
        return self.directory / "proposal.tfplan"

    def _prepare(self, variables: Mapping[str, Any]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        durable.write(self._variables, json.dumps(variables, indent=2, sort_keys=True).encode())
        self._initialise()

    def _initialise(self) -> None:
        durable.write(self._configuration, b"disable_checkpoint = true\n")
        self.log.unlink(missing_ok=True)
        self._run("init", backend_config=f"path={self.state}")

    @property
    def _configuration(self) -> Path:
        return self.directory / "cli.tfrc"

    def _show(self) -> bytes:
        with self._start("show", str(self._plan)) as process:
            document, complaints = process.communicate()
        if process.returncode:
            lines = complaints.decode("utf-8", "replace").splitlines()
            raise self._failure("show", process.returncode, _Reader(self), lines)
        return document

    def _run(
        self,
        command: str,
        *arguments: str,
        detailed_exitcode: bool = False,
        auto_approve: bool = False,
        **options: Any,
    ) -> Outcome:
        process = self._start(
            command, *arguments, detailed_exitcode=detailed_exitcode, auto_approve=auto_approve, **options
        )
        reader = _Reader(self)
        complaints: list[str] = []
        other = threading.Thread(target=lambda: complaints.extend(_lines(process.stderr)), daemon=True)
        other.start()
        _running.add(process)
        with process, self.log.open("a") as log:
            for line in _lines(process.stdout):
                log.write(line + "\n")
                reader.take(line)
            other.join()
            log.writelines(f"{line}\n" for line in complaints)
        _running.discard(process)
        # 2 of a plan says that there are changes.
        if process.returncode not in ({0, 2} if detailed_exitcode else {0}):
            raise self._failure(command, process.returncode, reader, complaints)
        return Outcome(reader.actions, reader.outputs)

    def _start(
        self,
        command: str,
        *arguments: str,
        detailed_exitcode: bool = False,
        auto_approve: bool = False,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        from python_terraform import IsFlagged, Terraform  # noqa: PLC0415 - imported when Terraform is used

        terraform = Terraform(working_dir=str(STACKS / self.stack), terraform_bin_path=str(self.binary))
        if command in ("plan", "apply", "destroy"):
            options["lock_timeout"] = STATE_LOCK_PATIENCE
        if command != "show":
            options["input"] = False
        with _environment(self._environment_changes()):
            # `synchronous` that isn't True gives the process itself, whose lines can be read as they come.
            process, _, _ = terraform.cmd(
                command, *arguments, **options, json=IsFlagged, no_color=IsFlagged, synchronous=None,
                reconfigure=IsFlagged if command == "init" else None,
                detailed_exitcode=IsFlagged if detailed_exitcode else None,
                auto_approve=IsFlagged if auto_approve else None,
            )  # fmt: skip
        assert isinstance(process, subprocess.Popen)
        return process

    def _environment_changes(self) -> dict[str, str | None]:
        # Settings of the user's own for Terraform (arguments, workspace, variables) are not for us.
        changes: dict[str, str | None] = {name: None for name in os.environ if name.startswith("TF_")}
        return changes | {
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(self._configuration),
            "TF_DATA_DIR": str(self.directory / "data"),
            "TF_IN_AUTOMATION": "1",
        }

    def _failure(self, command: str, code: int, reader: _Reader, complaints: list[str]) -> TerraformError:
        reasons = reader.errors or complaints[-3:] or [f"{self.binary} ended with {code}."]
        return TerraformError(
            f"Terraform could not {command} {self.name}.",
            why=" ".join(" ".join(reasons).split()),
            todo=f"Look at {self.log}, then run the same command again: it goes on where this one stopped.",
        )


def interrupt() -> None:
    """End what runs: by SIGINT, upon which Terraform saves its state, and by SIGKILL if that doesn't do."""
    processes = tuple(_running)
    # A terminal's Ctrl-C has reached Terraform, too; a second signal would make it forget its state.
    for patience, number in ((2.0, signal.SIGINT), (INTERRUPT_PATIENCE, signal.SIGKILL)):
        until = time.monotonic() + patience
        while any(process.poll() is None for process in processes) and time.monotonic() < until:
            time.sleep(0.05)
        for process in processes:
            process.send_signal(number)


class _Reader:
    """Understands the lines that Terraform prints with -json."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.actions: dict[str, str] = {}
        self.outputs: dict[str, Any] = {}
        self.errors: list[str] = []

    def take(self, line: str) -> None:
        """Take one line; what is no JSON object (a panic, a warning of the loader) is for the log alone."""
        try:
            content = json.loads(line)
            kind = str(content["type"])
        except (ValueError, KeyError, TypeError):
            return
        if kind == "planned_change":
            change = content["change"]
            self.actions[change["resource"]["addr"]] = change["action"]
        elif kind == "diagnostic" and content["diagnostic"]["severity"] == "error":
            self.errors.append(
                f"{content['diagnostic']['summary']}: {content['diagnostic'].get('detail', '')}"
            )
        elif kind == "outputs":
            self.outputs = {
                name: found["value"] for name, found in content["outputs"].items() if "value" in found
            }
        hook = content.get("hook", {})
        address, action = hook.get("resource", {}).get("addr", ""), hook.get("action", "")
        self._root.on_event(Event(self._root.name, kind, address, action))


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    with _environment_lock:
        before = {name: os.environ.get(name) for name in changes}
        _set(changes)
        try:
            yield
        finally:
            _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _lines(stream: Any) -> Iterator[str]:
    for line in stream:
        yield line.decode("utf-8", "replace").rstrip("\n")
