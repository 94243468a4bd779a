"""Terraform with the provider of AWS, in a copy of the modules and stacks.

Nothing is written to the checkout. The provider has 700 MB, and starting it is most of what a call costs: it
is linked once for all modules that stand alone, and within `attached` one process of it answers all calls.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
PROVIDER = "hashicorp/aws"
ROOTS = [
    str(path.parent.relative_to(TERRAFORM))
    for path in sorted(TERRAFORM.rglob("versions.tf"))
    if PROVIDER in path.read_text()
]
MODULES = [root for root in ROOTS if root.startswith("modules/")]
STACKS = [root for root in ROOTS if root.startswith("stacks/")]
_LOCK = ".terraform.lock.hcl"
_UNREACHABLE = "Failed to query available provider packages"
_ATTACH = "TF_REATTACH_PROVIDERS"


class NoProvider(Exception):
    """There is neither a mirror of the provider nor a registry."""


class Aws:
    """A program, a place for copies, and the provider in it. Raises NoProvider."""

    def __init__(self, binary: str, place: Path) -> None:
        self._binary, self._place = binary, place
        self._mirror = os.environ.get("TF_PLUGIN_DIR")
        self._copies = 0
        self._attached: dict[str, str] = {}
        alone = self.copy() / MODULES[0]
        self._init(alone, self._place / "alone", "-backend=false")
        self._lock = (alone / _LOCK).read_bytes()

    def copy(self) -> Path:
        """Return a new copy of the whole directory."""
        self._copies += 1
        copied = self._place / f"copy-{self._copies}" / "terraform"
        shutil.copytree(TERRAFORM, copied, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        return copied

    def run(self, directory: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform on a root of a copy, without its backend; `settings` go to its environment."""
        if "modules" in directory.parts:
            (directory / _LOCK).write_bytes(self._lock)
            data = self._place / "alone"
        else:
            data = directory / ".terraform"
            if not data.exists():
                self._init(directory, data, "-backend=false")
        return self._call(directory, data, *arguments, **settings)

    def init(self, stack: Path) -> None:
        """Make a stack of a copy ready, with its backend."""
        self._init(stack, stack / ".terraform")

    @contextmanager
    def attached(self, **settings: str) -> Iterator[None]:
        """Have one process of the provider for all calls; `settings` go to its environment.

        It has one configuration at a time: a stack with two of them is not to be planned here.
        """
        (program,) = (self._place / "alone" / "providers").glob("*/hashicorp/aws/*/*/terraform-provider-aws*")
        said = self._place / "provider.txt"
        quiet = {"TF_LOG_PROVIDER": "off", "TF_LOG_SDK": "off"}  # else it tells of every step
        with (
            said.open("w") as out,
            subprocess.Popen(
                [program, "-debug"], env=_environment() | quiet | settings, stdout=out, stderr=out
            ) as running,
        ):
            try:
                host = program.relative_to(self._place / "alone" / "providers").parts[0]
                self._attached = {_ATTACH: json.dumps({f"{host}/{PROVIDER}": _address(said)})}
                yield
            finally:
                self._attached = {}
                running.kill()

    def _init(self, directory: Path, data: Path, *options: str) -> None:
        mirror = [] if self._mirror is None else [f"-plugin-dir={self._mirror}"]
        done = self._call(directory, data, "init", *mirror, *options)
        if _UNREACHABLE in done.stderr and self._mirror is None:
            raise NoProvider(f"TF_PLUGIN_DIR names no mirror of {PROVIDER}, and no registry can be reached")
        assert done.returncode == 0, done.stdout + done.stderr

    def _call(
        self, directory: Path, data: Path, *arguments: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        environment = _environment() | self._attached | {"TF_DATA_DIR": str(data)}
        return subprocess.run(
            [self._binary, *arguments, "-no-color"], cwd=directory, env=environment | settings,
            text=True, capture_output=True, check=False,
        )  # fmt: skip


def _environment() -> dict[str, str]:
    """Return one without anybody's own settings or accounts."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    return ours | {
        "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
        "TF_IN_AUTOMATION": "1", "GOGC": "400",
    }  # fmt: skip


def _address(said: Path) -> object:
    """Return where a provider that was started listens: it says so when it does."""
    until = time.monotonic() + 60
    while not (found := re.search(rf"{_ATTACH}='(.+)'", said.read_text())):
        assert time.monotonic() < until, said.read_text()
        time.sleep(0.05)
    (address,) = json.loads(found[1]).values()
    return address
