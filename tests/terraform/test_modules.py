"""The modules and stacks of AWS, by Terraform's own checks with the provider's mock.

Their form is checked in test_stacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from terraform.aws import MODULES, ROOTS, STACKS, TERRAFORM, Aws

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copied(aws: Aws) -> Iterator[Path]:
    with aws.attached():
        yield aws.copy()


@pytest.mark.parametrize("root", ROOTS)
def test_passes_its_tests(aws: Aws, copied: Path, root: str) -> None:
    done = aws.run(copied / root, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Success! [1-9][0-9]* passed, 0 failed", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("stack", STACKS)
def test_is_valid_with_all_its_modules(aws: Aws, copied: Path, stack: str) -> None:
    done = aws.run(copied / stack, "validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_is_in_a_stack() -> None:
    texts = "".join((TERRAFORM / stack / "main.tf").read_text() for stack in STACKS)
    assert [module for module in MODULES if f'"../../../{module}"' not in texts] == []


@pytest.mark.parametrize("root", ROOTS)
def test_each_variable_is_typed_and_described(root: str) -> None:
    blocks = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (TERRAFORM / root / "variables.tf").read_text(), re.M | re.S
    )
    assert blocks
    for name, block in blocks:
        assert re.search(r"^  type +=", block, re.M), name
        assert re.search(r'^  description = "\S', block, re.M), name
        assert not re.search(r"\bany\b(?!\w)", re.sub(r'"[^"]*"', "", block)), name
