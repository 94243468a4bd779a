"""The only place that runs Terraform: one `Root` for each root module and its state.

python-terraform starts the processes; what it gets wrong with today's Terraform is put right here. It has
no notion of an environment, so that ours is set, under a lock, for the moment in which it starts one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortexctl import diagnosis, durable
from cortexctl.errors import CortexctlError

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
STACKS = TERRAFORM / "stacks"
# A terraform whose cortexctl was killed goes on for a while; its lock on the state is waited for.
STATE_LOCK_PATIENCE = "120s"
# A state in a bucket is locked by somebody else's run, which takes minutes: who meets it is told soon.
BUCKET_LOCK_PATIENCE = "5s"
MIRROR = "TF_PLUGIN_DIR"  # a directory with providers, where no registry is to be asked
INTERRUPT_PATIENCE = 15.0
_environment_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()
_interrupted: set[subprocess.Popen[bytes]] = set()  # those that have said that they end
TerraformError = diagnosis.TerraformError


@dataclass(frozen=True, slots=True)
class Event:
    """One line of progress. `kind` is Terraform's own; address and action are empty where it has none."""

    root: str
    kind: str
    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, or a plan would do: actions (create, delete, replace) by address, and outputs.

    `drift` has what was changed or deleted behind Terraform's back: actions by address.
    """

    actions: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """True when there is anything to do, or something was done."""
        return bool(self.actions)


@dataclass(frozen=True, slots=True)
class Root:
    """A root module (`stack`, below terraform/stacks) whose state and data are in `directory`.

    `binary` is terraform, tofu or cortex-terraform; `on_event` is called for each line of progress, in the
    thread that runs the root. With a `bucket` (the settings of the S3 backend) the state is there, and the
    root runs in a copy of the stack of its own, where Terraform may leave what it must write beside it.
    `secrets` are variables that no file has.
    """

    name: str
    stack: str
    directory: Path
    binary: Path
    on_event: Callable[[Event], None]
    bucket: Mapping[str, str] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    _ready: threading.Event = field(default_factory=threading.Event, init=False, repr=False, compare=False)

    @property
    def log(self) -> Path:
        """All that Terraform printed in its last run."""
        return self.directory / "terraform.log"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.directory / "terraform.tfstate"

    def plan(
        self, variables: Mapping[str, Any], *, replace: Sequence[str] = (), out: Path | None = None
    ) -> Outcome:
        """Return what apply would do, and write it to `out`. Raises CortexctlError.

        Only this root's own directory is written.
        """
        self._prepare(variables)
        return self._run(
            "plan", replace=list(replace), var_file=str(self._variables), detailed_exitcode=True, out=out
        )

    def apply(self, variables: Mapping[str, Any], *, replace: Sequence[str] = ()) -> Outcome:
        """Make everything as the stack and the variables say, and `replace` anew. Raises CortexctlError."""
        self._prepare(variables)
        return self._run("apply", replace=list(replace), var_file=str(self._variables), auto_approve=True)

    def apply_plan(self, plan: Path) -> Outcome:
        """Do what a plan of this root says, to the letter. Raises Refused when the state has moved on."""
        return self._run("apply", str(plan), auto_approve=True)

    def show(self, plan: Path) -> bytes:
        """Return a plan of this root as JSON. Raises CortexctlError."""
        return self._read("show", str(plan))

    def outputs(self) -> dict[str, Any]:
        """Return the outputs that the state has; none before it is made. Raises CortexctlError."""
        self._initialise()
        self._write_rescued()
        return {name: found["value"] for name, found in json.loads(self._read("output")).items()}

    def destroy(self, variables: Mapping[str, Any] | None = None) -> Outcome:
        """End everything that the state knows. Raises CortexctlError."""
        if variables is not None:
            self._prepare(variables)
        elif self.state.exists():
            self._initialise()
        else:
            return Outcome()
        return self._run("destroy", var_file=str(self._variables), auto_approve=True)

    def unlock(self, lock: str) -> None:
        """Break the state's lock of this id, whose holder is dead. Raises CortexctlError."""
        self._initialise()
        self._read("force-unlock", lock, json_=False, force=True)

    @property
    def _variables(self) -> Path:
        return self.directory / "variables.tfvars.json"

    @property
    def _source(self) -> Path:
        return (
            STACKS / self.stack if self.bucket is None else self.directory / "source" / "stacks" / self.stack
        )

    @property
    def rescued(self) -> Path:
        """Where a state is that Terraform could not write to the bucket: it is nowhere else."""
        return self._source / "errored.tfstate"

    def _prepare(self, variables: Mapping[str, Any]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        durable.write(self._variables, json.dumps(variables, indent=2, sort_keys=True).encode())
        self._initialise()
        self._write_rescued()

    def _initialise(self) -> None:
        self.log.unlink(missing_ok=True)
        if self._ready.is_set():  # it reads all of a provider, each time
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        durable.write(self._configuration, _configuration().encode())
        if self.bucket is not None and not self.rescued.exists():  # else it is as it was when it was written
            self._copy()
        backend = self.bucket if self.bucket is not None else {"path": str(self.state)}
        self._run("init", backend_config=[f"{name}={value}" for name, value in backend.items()])
        self._ready.set()

    def _write_rescued(self) -> None:
        """Write the state to the bucket that could not be written there before."""
        if self.rescued.exists():
            self._read("state push", str(self.rescued), json_=False)
            self.rescued.unlink()

    def _copy(self) -> None:
        """Copy modules and stack; what the provider was, the next run has again."""
        copied, lock = self.directory / "source", self._source / ".terraform.lock.hcl"
        kept = lock.read_bytes() if lock.exists() else None
        if copied.exists():
            shutil.rmtree(copied)
        unwanted = shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests")
        shutil.copytree(TERRAFORM / "modules", copied / "modules", ignore=unwanted)
        shutil.copytree(STACKS / self.stack, self._source, ignore=unwanted)
        if kept is not None:
            lock.write_bytes(kept)

    @property
    def _configuration(self) -> Path:
        return self.directory / "cli.tfrc"

    def _run(
        self,
        command: str,
        *words: str,
        detailed_exitcode: bool = False,
        auto_approve: bool = False,
        **options: Any,
    ) -> Outcome:
        process = self._start(
            command, *words, detailed_exitcode=detailed_exitcode, auto_approve=auto_approve, **options
        )
        reader = _Reader(self, on_interrupt=lambda: _interrupted.add(process))
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
        _interrupted.discard(process)
        # 2 of a plan says that there are changes.
        if process.returncode not in ({0, 2} if detailed_exitcode else {0}):
            raise self._failure(command, process.returncode, reader.errors or complaints[-3:])
        return Outcome(reader.actions, reader.outputs, reader.drift)

    def _read(self, command: str, *words: str, json_: bool = True, force: bool = False) -> bytes:
        """Return all that a command prints which has no progress to tell. Raises CortexctlError."""
        process = self._start(command, *words, json_=json_, force=force)
        printed, complaints = process.communicate()
        if process.returncode:
            raise self._failure(command, process.returncode, [complaints.decode("utf-8", "replace")])
        return printed

    def _start(
        self,
        command: str,
        *words: str,
        json_: bool = True,
        detailed_exitcode: bool = False,
        auto_approve: bool = False,
        force: bool = False,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        from python_terraform import IsFlagged, Terraform  # noqa: PLC0415 - imported when Terraform is used

        terraform = Terraform(working_dir=str(self._source), terraform_bin_path=str(self.binary))
        if command in ("plan", "apply", "destroy", "state push"):
            options["lock_timeout"] = STATE_LOCK_PATIENCE if self.bucket is None else BUCKET_LOCK_PATIENCE
        if command in ("init", "plan", "apply", "destroy"):
            options["input"] = False
        flags = {
            "json": json_,
            "no_color": command not in ("state push", "force-unlock") or None,
            "reconfigure": command == "init",
            "detailed_exitcode": detailed_exitcode,
            "auto_approve": auto_approve,
            "force": force,
        }
        options |= {name: IsFlagged for name, given in flags.items() if given}
        with _environment(self._environment_changes()):
            # `synchronous` that isn't True gives the process itself, whose lines can be read as they come.
            process, _, _ = terraform.cmd(command, *words, **options, synchronous=None)
        assert isinstance(process, subprocess.Popen)
        return process

    def _environment_changes(self) -> dict[str, str | None]:
        # Settings of the user's own for Terraform (arguments, workspace, variables) are not for us.
        changes: dict[str, str | None] = {name: None for name in os.environ if name.startswith("TF_")}
        changes |= {f"TF_VAR_{name}": value for name, value in self.secrets.items()}
        return changes | {
            "CHECKPOINT_DISABLE": "1",
            # It and its providers end soon: tidying up their memory is what costs.
            "GOGC": os.environ.get("GOGC", "400"),
            "TF_CLI_CONFIG_FILE": str(self._configuration),
            "TF_DATA_DIR": str(self.directory / "data"),
            "TF_IN_AUTOMATION": "1",
        }

    def _failure(self, command: str, code: int, complaints: Sequence[str]) -> CortexctlError:
        reasons = complaints or [f"{self.binary} ended with {code}."]
        return diagnosis.of(self.name, command, " ".join(reasons), self.log)


def interrupt(patience: float = INTERRUPT_PATIENCE) -> None:
    """End what runs: by SIGINT, upon which Terraform saves its state, and by SIGKILL if that doesn't do."""
    processes = tuple(_running)
    # A terminal's Ctrl-C has reached Terraform, too; a second signal would make it forget its state.
    _await_end(processes, 2.0)
    for process in processes:
        if process not in _interrupted:
            process.send_signal(signal.SIGINT)
    _await_end(processes, patience)
    for process in processes:
        process.kill()


def _await_end(processes: Sequence[subprocess.Popen[bytes]], patience: float) -> None:
    until = time.monotonic() + patience
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        time.sleep(0.05)


def _configuration() -> str:
    """Return Terraform's own settings: nobody is told of its use, and providers come from the mirror."""
    text = "disable_checkpoint = true\n"
    if mirror := os.environ.get(MIRROR):
        text += (
            f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(mirror)}\n  }}\n}}\n"
        )
    return text


class _Reader:
    """Understands the lines that Terraform prints with -json."""

    def __init__(self, root: Root, *, on_interrupt: Callable[[], None]) -> None:
        self._root, self._on_interrupt = root, on_interrupt
        self.actions: dict[str, str] = {}
        self.drift: dict[str, str] = {}
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
        elif kind == "resource_drift":
            change = content["change"]
            self.drift[change["resource"]["addr"]] = change["action"]
        elif "Interrupt received" in str(content.get("@message", "")):
            self._on_interrupt()
        elif kind == "diagnostic" and content["diagnostic"]["severity"] == "error":
            self.errors.append(
                f"{content['diagnostic']['summary']}: {content['diagnostic'].get('detail', '')}"
            )
        elif kind == "outputs":
            if self._root.bucket is not None:  # other roots need them: a change of them is one to apply
                self.actions |= {
                    f"output.{name}": found["action"]
                    for name, found in content["outputs"].items()
                    if found.get("action", "noop") != "noop"
                }
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
