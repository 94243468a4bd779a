"""A guard that is taken away turns its module's own tests red: one at a time, in a copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from terraform.aws import Aws

pytestmark = pytest.mark.exhaustive

# Module, file, what is there, what it becomes, and the run that must tell.
FLIPS = [
    ("database", "main.tf", "storage_encrypted                   = true",
     "storage_encrypted                   = false", "is_encrypted_and_private"),
    ("database", "main.tf", "publicly_accessible        = false",
     "publicly_accessible        = true", "is_encrypted_and_private"),
    ("database", "main.tf", "deletion_protection          = var.protected",
     "deletion_protection          = false", "cannot_be_deleted_by_a_slip"),
    ("database", "main.tf", "skip_final_snapshot          = !var.protected",
     "skip_final_snapshot          = true", "cannot_be_deleted_by_a_slip"),
    ("objectstore", "replication.tf", '      status   = "Enabled"\n', '      status   = "Disabled"\n',
     "europe_copies_to_all_peers"),
    ("objectstore", "replication.tf", 'replace(name, "-${var.region}-", "-${peer}-")', "name",
     "europe_copies_to_all_peers"),
    ("objectstore", "main.tf", "restrict_public_buckets = true", "restrict_public_buckets = false",
     "keeps_versions_encrypted_and_private"),
    ("ingress", "main.tf", "enable_deletion_protection = var.protected", "enable_deletion_protection = false",
     "takes_tls_alone_in_three_zones"),
    ("cluster", "main.tf", "endpoint_public_access  = length(var.api_cidrs) > 0",
     "endpoint_public_access  = true", "is_private_and_encrypted_and_tells_all"),
    ("cache", "main.tf", "at_rest_encryption_enabled = true", "at_rest_encryption_enabled = false",
     "is_encrypted_at_rest_and_on_its_way"),
    ("dr", "main.tf", "for_each = var.peers", "for_each = []", "copies_backups_to_every_other_region"),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def attached(aws: Aws) -> Iterator[None]:
    with aws.attached():
        yield


def only(tests: Path, run: str) -> None:
    """Leave of a module's tests what they begin with and one run, which is green on the module as it is."""
    begin, *runs = re.split(r'^(?=run ")', tests.read_text(), flags=re.MULTILINE)
    (wanted,) = (each for each in runs if each.startswith(f'run "{run}"'))
    tests.write_text(begin + wanted)


@pytest.mark.parametrize(("module", "file", "there", "instead", "run"), FLIPS)
def test_a_guard_taken_away_is_seen(
    aws: Aws, module: str, file: str, there: str, instead: str, run: str
) -> None:
    root = aws.copy() / "modules" / module
    text = (root / file).read_text()
    assert text.count(there) == 1
    (root / file).write_text(text.replace(there, instead))
    only(root / "tests" / f"{module}.tftest.hcl", run)
    done = aws.run(root, "test")
    assert done.returncode == 1, done.stdout
    assert f'run "{run}"... fail' in done.stdout
    assert "Error: Test assertion failed" in done.stderr
    assert not re.search(r"^Error: (?!Test assertion failed)", done.stderr, re.MULTILINE), done.stderr
