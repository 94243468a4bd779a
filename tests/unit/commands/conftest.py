"""A deployment's directory as `up` leaves it, without anything that runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cortex_runtime.formats.keyring import new_keyring
from cortexctl.deployment import Deployment, dump


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CORTEXCTL_API_KEY", raising=False)
    monkeypatch.delenv("CORTEXCTL_DEPLOYMENT", raising=False)
    made = Deployment(
        name="trial",
        id="trial-1234",
        profile="standard",
        platform="local",
        first_port=_closed_port(),
        nodes_a_region={"eu-west": 2, "us-east": 2, "ap-south": 2},
        directory=tmp_path / "state" / "cortexkg" / "trial",
    )
    keyring = new_keyring()
    for region in made.regions:
        (region.directory / "secrets").mkdir(parents=True)
        (region.directory / "secrets" / "keyring.json").write_bytes(keyring)
    (made.directory / "deployment.yaml").write_text(dump(made))
    return made


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
