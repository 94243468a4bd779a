"""The modules and stacks, by Terraform's own checks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
ROOTS = sorted(path.parent for path in TERRAFORM.rglob("versions.tf"))
NAMES = [str(root.relative_to(TERRAFORM)) for root in ROOTS]


def run(binary: Path, directory: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_DATA_DIR": str(data)}
    return subprocess.run(
        [binary, *arguments], cwd=directory, env=environment, text=True, capture_output=True, check=False
    )


def content() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in TERRAFORM.rglob("*") if path.is_file()}


@pytest.mark.parametrize("root", ROOTS, ids=NAMES)
def test_is_valid_and_passes_its_tests(binary: Path, root: Path, tmp_path: Path) -> None:
    before = content()
    for arguments in (("init", "-backend=false"), ("validate",), ("test",)):
        done = run(binary, root, tmp_path, *arguments, "-no-color")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    assert not done.stdout.startswith("Success! 0 passed")
    assert content() == before


def test_is_formatted(binary: Path, tmp_path: Path) -> None:
    done = run(binary, TERRAFORM, tmp_path, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ROOTS, ids=NAMES)
def test_has_its_files(root: Path) -> None:
    for name in ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"):
        assert (root / name).is_file(), name
    assert list((root / "tests").glob("*.tftest.hcl"))
