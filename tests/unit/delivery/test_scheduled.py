"""Scheduled work, with stand-ins for cortexctl and for what opens issues: what fails is told, and fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(home: Path, *words: str, code: int = 0, issues: int = 0) -> tuple[int, str]:
    """Return the exit code, and how the issue was opened ("": it was not)."""
    (home / "scripts" / "ci").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "ci" / "scheduled.sh", home / "scripts" / "ci")
    told = home / "told"
    for path, content in (
        (home / "scripts" / "cortexctl", f'echo "did $*"; exit {code}'),
        (home / "gh", f'echo "$*" >{told}; exit {issues}'),
    ):
        path.write_text(f"#!/bin/sh\n{content}\n")
        path.chmod(0o755)
    environment = os.environ | {"PATH": f"{home}:{os.environ['PATH']}", "GH_TOKEN": "token"}
    script = home / "scripts" / "ci" / "scheduled.sh"
    done = subprocess.run(
        [script, *words], env=environment, text=True, capture_output=True, timeout=30, check=False
    )
    return done.returncode, told.read_text() if told.exists() else ""


@pytest.mark.parametrize("work", ["drift", "drill", "keys", "restore"])
def test_what_goes_well_is_not_told(tmp_path: Path, work: str) -> None:
    assert run(tmp_path, work) == (0, "")


@pytest.mark.parametrize(
    ("work", "code"), [("drift", 4), ("drill", 3), ("keys", 1), ("restore", 3), ("drift", 7)]
)
@pytest.mark.parametrize("issues", [0, 1])
def test_what_does_not_becomes_an_issue_and_stays_a_failure(
    tmp_path: Path, work: str, code: int, issues: int
) -> None:
    status, told = run(tmp_path, work, code=code, issues=issues)
    assert status == code
    assert f"ended with {code}" in told
    assert f"--body-file dist/{work}.txt" in told
    assert (tmp_path / "dist" / f"{work}.txt").read_text().startswith("did ")


@pytest.mark.parametrize("words", [(), ("everything",)])
def test_what_is_not_known_is_not_done(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(tmp_path, *words) == (2, "")
