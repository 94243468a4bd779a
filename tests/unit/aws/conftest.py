"""A deployment on AWS as `up` writes it down, and moto in AWS' place within this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from cortexctl.deployment import AwsPlace, Deployment, dump

REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "CORTEXCTL_DEPLOYMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    place = AwsPlace(
        regions={region: f"10.{16 * (i + 1)}.0.0/16" for i, region in enumerate(REGIONS)},
        zones={region: [region + zone for zone in "abc"] for region in REGIONS},
        states="acme-states",
        states_region="eu-central-1",
        domain="api.example.org",
        zone_id="Z123",
        administrators=["arn:aws:iam::123456789012:role/platform"],
        recipients=["on-call@example.org"],
        protected=True,
        accelerator=True,
        options={},
    )
    directory = tmp_path / "cortexkg" / "trial"
    made = Deployment(
        "trial", "trial-1234", "production", "aws", 0, dict.fromkeys(REGIONS, 0), directory, aws=place
    )
    directory.mkdir(parents=True)
    (directory / "deployment.yaml").write_text(dump(made))
    return made


@pytest.fixture
def moto(deployment: Deployment) -> Iterator[None]:
    with mock_aws():
        yield
