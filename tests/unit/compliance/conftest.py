"""A deployment with all its keys, of which nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortexctl import ports
from cortexctl.deployment import Deployment, dump
from cortexctl.platforms.local import preparation
from cortexctl.platforms.local.account import Account


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CORTEXCTL_DEPLOYMENT", "trial")
    home = tmp_path / "state" / "cortexkg"
    directory = home / "trial"
    directory.mkdir(parents=True, mode=0o700)
    regions = {"eu-west": 1, "us-east": 1, "ap-south": 1}
    first = ports.choose_block(home, "trial", 160)
    made = Deployment("trial", "trial-1", "small", "local", first, regions, directory)
    (directory / "deployment.yaml").write_text(dump(made))
    preparation.prepare(made, Account())
    return made
