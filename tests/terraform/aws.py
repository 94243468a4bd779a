"""Terraform with the provider of AWS, in a copy of the modules and stacks.

Nothing is written to the checkout. The provider has 700 MB: it is linked once for all modules that stand
alone, and takes four seconds to load, once a call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
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


class NoProvider(Exception):
    """There is neither a mirror of the provider nor a registry."""


class Aws:
    """A program, a place for copies, and the provider in it. Raises NoProvider."""

    def __init__(self, binary: str, place: Path) -> None:
        self._binary, self._place = binary, place
        self._mirror = os.environ.get("TF_PLUGIN_DIR")
        self._copies = 0
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

    def _init(self, directory: Path, data: Path, *options: str) -> None:
        mirror = [] if self._mirror is None else [f"-plugin-dir={self._mirror}"]
        done = self._call(directory, data, "init", *mirror, *options)
        if _UNREACHABLE in done.stderr and self._mirror is None:
            raise NoProvider(f"TF_PLUGIN_DIR names no mirror of {PROVIDER}, and no registry can be reached")
        assert done.returncode == 0, done.stdout + done.stderr

    def _call(
        self, directory: Path, data: Path, *arguments: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        # Nobody's own settings or accounts: what is tested has the provider's mock, or a stand-in of AWS.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))
        }
        environment |= {
            "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_DATA_DIR": str(data),
            "AWS_EC2_METADATA_DISABLED": "true", "TF_IN_AUTOMATION": "1",
        }  # fmt: skip
        return subprocess.run(
            [self._binary, *arguments, "-no-color"], cwd=directory, env=environment | settings,
            text=True, capture_output=True, check=False,
        )  # fmt: skip
