"""A deployment on paper, in a directory whose name has all that configurations stumble over."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortexctl import deployment as deployments
from cortexctl.deployment import Deployment

NASTY = "st at%s ü;#x [a]' \"$HOME"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    directory = tmp_path / NASTY / "cortexkg" / "paper"
    directory.mkdir(parents=True, mode=0o700)
    found = Deployment(
        name="paper", id="paper-0123", profile="standard", platform="local", first_port=40_000,
        nodes_a_region={"eu-west": 2, "us-east": 2, "ap-south": 1}, directory=directory,
    )  # fmt: skip
    (directory / "deployment.yaml").write_text(deployments.dump(found))
    return found
