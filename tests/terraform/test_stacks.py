"""The modules and stacks of one machine, by Terraform's own checks; of all, their form and files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from terraform import aws
from terraform.aws import TERRAFORM

ALL = [str(path.parent.relative_to(TERRAFORM)) for path in sorted(TERRAFORM.rglob("versions.tf"))]
LOCAL = [root for root in ALL if root not in aws.ROOTS]


def run(binary: Path, directory: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_DATA_DIR": str(data)}
    return subprocess.run(
        [binary, *arguments], cwd=directory, env=environment, text=True, capture_output=True, check=False
    )


def content() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in TERRAFORM.rglob("*") if path.is_file()}


@pytest.mark.parametrize("root", LOCAL)
def test_is_valid_and_passes_its_tests(binary: Path, root: str, tmp_path: Path) -> None:
    before = content()
    for arguments in (("init", "-backend=false"), ("validate",), ("test",)):
        done = run(binary, TERRAFORM / root, tmp_path, *arguments, "-no-color")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    assert not done.stdout.startswith("Success! 0 passed")
    assert content() == before


def test_is_formatted(binary: Path, tmp_path: Path) -> None:
    done = run(binary, TERRAFORM, tmp_path, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ALL)
def test_has_its_files(root: str) -> None:
    for name in ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"):
        assert (TERRAFORM / root / name).is_file(), name
    assert list((TERRAFORM / root / "tests").glob("*.tftest.hcl"))
