"""A state home of the test's own, and the real command line in a subprocess."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty state home, which is set for this process and for those it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("CORTEXCTL_DEPLOYMENT", raising=False)
    directory = tmp_path / "cortexkg"
    directory.mkdir()
    return directory


@pytest.fixture
def cortexctl(home: Path) -> Run:
    """Return a function that runs cortexctl, without a terminal, and returns what it did."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cortexctl.main", *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run
