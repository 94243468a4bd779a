"""supervisord of a tree: its configuration, and the client for its XML-RPC interface.

The configuration holds relative names alone, because supervisor expands % and cuts at ; and #: what has a
path in it stands in run/PROGRAM.sh, quoted for the shell. It is one file: an include would expand wildcards
in the path of the directory.
"""

from __future__ import annotations

import http.client
import secrets
import shlex
import xmlrpc.client  # nosec B411 - it asks our own supervisord, on this machine
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortexctl import durable

USER = "cortexkg"
UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})
GONE, NOT_RUNNING, ALREADY_ADDED, ALREADY_STARTED = 10, 70, 90, 60  # supervisor.xmlrpc.Faults
ENDED_EARLY = (40, 50)  # ABNORMAL_TERMINATION, SPAWN_ERROR: it is tried again


@dataclass(frozen=True, slots=True)
class Program:
    """What supervisord runs: `command` after `environment`, in order of `priority`, ended by `signal`."""

    name: str
    command: tuple[str, ...]
    priority: int
    environment: Mapping[str, str]
    patience: int = 10
    signal: str = "TERM"
    prelude: str = ""  # lines of shell that run first

    def script(self) -> str:
        """Return run/NAME.sh."""
        lines = [
            "#!/bin/sh",
            *(f"export {key}={shlex.quote(value)}" for key, value in self.environment.items()),
        ]
        return "\n".join([*lines, self.prelude, f"exec {shlex.join(self.command)}", ""])

    def section(self) -> str:
        """Return its section of supervisord.conf."""
        return f"""
[program:{self.name}]
command=/bin/sh run/{self.name}.sh
priority={self.priority}
autostart=true
autorestart=true
startsecs=1
startretries=1000000
stopsignal={self.signal}
stopwaitsecs={self.patience}
redirect_stderr=true
stdout_logfile=log/{self.name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=3
"""


def render(port: int, password: str, programs: Iterable[Program]) -> str:
    """Return supervisord.conf."""
    return f"""; Written anew at every start; what is changed here is lost.
[supervisord]
nodaemon=true
silent=true
umask=077
logfile=log/supervisord.log
logfile_maxbytes=1MB
logfile_backups=2
pidfile=supervisord.pid
childlogdir=log

[inet_http_server]
port=127.0.0.1:{port}
username={USER}
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
{"".join(program.section() for program in programs)}"""


def write(directory: Path, port: int, programs: Iterable[Program]) -> None:
    """Write supervisord.conf and the scripts of the programs."""
    known = tuple(programs)
    for program in known:
        durable.write(directory / "run" / f"{program.name}.sh", program.script().encode())
    durable.write(directory / "supervisord.conf", render(port, _password(directory), known).encode())


class Supervisor:
    """A running supervisord. Methods raise OSError, HTTPException or xmlrpc's Error when it is none."""

    def __init__(self, directory: Path, port: int, *, timeout: float = 5.0) -> None:
        password = _password(directory)
        self._proxy = xmlrpc.client.ServerProxy(
            f"http://{USER}:{password}@127.0.0.1:{port}/RPC2", transport=_Transport(timeout)
        )

    def states(self) -> dict[str, str]:
        """Return the state of every program: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL."""
        return {entry["name"]: entry["statename"] for entry in self._call("getAllProcessInfo")}

    def pid(self, name: str) -> int:
        """Return the pid of a program, 0 when it does not run."""
        try:
            return int(self._call("getProcessInfo", name)["pid"])
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == GONE:
                return 0
            raise

    def add(self, name: str) -> None:
        """Have a program of the configuration, and have it run."""
        self._call("reloadConfig")
        try:
            self._call("addProcessGroup", name)  # which starts it
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_ADDED:
                raise
            self.start(name)

    def start(self, name: str) -> None:
        """Start a program unless it runs; does not wait until it has started."""
        self._unless(ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str, *, wait: bool = True) -> None:
        """Stop a program that runs. `wait` may take as long as it is given to end."""
        self._unless(NOT_RUNNING, "stopProcess", name, wait)

    def hang_up(self, name: str) -> None:
        """Send SIGHUP to a program that runs."""
        self._unless(NOT_RUNNING, "signalProcess", name, "HUP")

    def remove(self, name: str) -> None:
        """Forget a program that was stopped."""
        self._unless(GONE, "removeProcessGroup", name)
        self._call("reloadConfig")

    def _unless(self, fine: int, method: str, *arguments: Any) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (fine, GONE, *ENDED_EARLY):
                raise

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._proxy.supervisor, method)(*arguments)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout
        return connection


def _password(directory: Path) -> str:
    """Return the password of a tree's supervisor, made when there is none."""
    path = directory / "supervisor.secret"
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    password = secrets.token_hex(24)
    durable.write(path, password.encode())
    return password
