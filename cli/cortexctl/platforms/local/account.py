"""Under which account a tree runs: PostgreSQL refuses to run as root.

An ordinary user's trees run as that user. For root, in this order:

1. the account `cortexkg`, by setpriv, when it exists on the machine and can reach the interpreter and the
   deployment's directory; the directories of the regions and of the edge become its own;
2. a user namespace of its own (unshare) in which root's files belong to an ordinary user;
3. neither: a clear error. No account that other services use (nobody, postgres) is taken: whoever runs
   under it could read the secrets of the regions.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cortexctl.errors import Refused

NAME = "cortexkg"
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True, slots=True)
class Account:
    """What is put before a command, and who owns the files (None: whoever makes them)."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def make_directory(self, path: Path) -> None:
        """Make a directory, 0700, that belongs to the account; give it what it finds there."""
        path.parent.mkdir(mode=0o711 if self.owner else 0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if self.owner and path.stat().st_uid != self.owner[0]:
            for root, directories, files in os.walk(path):
                for name in (*directories, *files):
                    os.chown(Path(root, name), *self.owner, follow_symlinks=False)
            os.chown(path, *self.owner)


@cache
def choose(directory: Path) -> Account:
    """Return the account for a deployment's trees. Raises Refused when root has no way not to be root."""
    if os.geteuid() != 0:
        return Account()
    return _dedicated(directory) or _namespace()


def _dedicated(directory: Path) -> Account | None:
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        return None
    prefix = (
        "setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
    )  # fmt: skip
    # It may pass through the directory, and list nothing: ca/ and operator/ stay root's own.
    directory.chmod(0o711)
    test = "import os, sys, cortexctl.durable; sys.exit(not os.access(sys.argv[1], os.X_OK))"
    if _runs((*prefix, sys.executable, "-P", "-c", test, str(directory))):
        return Account(prefix, (entry.pw_uid, entry.pw_gid))
    directory.chmod(0o700)
    return None


def _namespace() -> Account:
    if _runs((*NAMESPACE, sys.executable, "-I", "-S", "-c", "import os, sys; sys.exit(os.getuid() == 0)")):
        return Account(NAMESPACE, (0, 0))
    raise Refused(
        "The regions cannot be run as root.",
        why="PostgreSQL refuses root, user namespaces are not permitted here, and there is no account "
        f"{NAME!r} that can reach {sys.executable} and the deployment's directory.",
        todo=f"Run this as an ordinary user, or make an account (useradd --system {NAME}), or permit user "
        "namespaces (sysctl user.max_user_namespaces).",
    )


def _runs(command: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
