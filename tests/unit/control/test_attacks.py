"""The page of attacks names tests that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| (.+) \| (.+) \| `(tests/.+)` \|$", re.MULTILINE)


def test_every_attack_has_a_test_that_is_there() -> None:
    page = (ROOT / "docs" / "attacks.md").read_text()
    named = [test for _, _, test in ROW.findall(page)]
    assert len(named) == page.count("\n| ") - 2 * page.count("\n## ") > 50
    assert len(set(named)) == len(named)
    files = sorted({test.partition("::")[0] for test in named})
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", *files],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    there = set(done.stdout.splitlines())
    there |= {test.partition("[")[0] for test in there}
    assert [test for test in named if test not in there] == []
