"""Where a deployment on AWS may be, and what is said of where it may not."""

from __future__ import annotations

import pytest

from cortexctl.errors import CortexctlError, Refused, UsageError
from cortexctl.platforms.aws import settings
from cortexctl.platforms.aws.settings import Settings, States

pytestmark = pytest.mark.usefixtures("deployment")
WANTED = Settings(
    domain="api.example.org",
    zone_id="Z123",
    states=States("acme-states", "eu-central-1"),
    administrators=["arn:aws:iam::123456789012:role/platform"],
)


def test_regions_get_addresses_and_zones_of_their_own() -> None:
    place = settings.place("production", ("eu-west-1", "us-east-1=10.99.0.0/16", "ap-south-1"), WANTED)
    assert place.regions == {
        "eu-west-1": "10.16.0.0/16", "us-east-1": "10.99.0.0/16", "ap-south-1": "10.48.0.0/16"
    }  # fmt: skip
    assert (place.founder, place.protected) == ("eu-west-1", True)
    assert place.zones["us-east-1"] == ["us-east-1a", "us-east-1b", "us-east-1c"]


@pytest.mark.parametrize(
    ("kind", "message", "regions", "profile"),
    [
        (UsageError, "AWS has no region 'eu-west-9'", ("eu-west-9", "us-east-1", "ap-south-1"), "production"),
        (UsageError, "overlap", ("eu-west-1=10.0.0.0/8", "us-east-1=10.4.0.0/16"), "production"),
        (UsageError, "is no network", ("eu-west-1=10.4.0.1/16", "us-east-1", "ap-south-1"), "production"),
        (UsageError, "twice", ("eu-west-1", "eu-west-1", "ap-south-1"), "production"),
        (UsageError, "no profile 'huge'", ("eu-west-1", "us-east-1", "ap-south-1"), "huge"),
        (Refused, "cannot have 2 regions", ("eu-west-1", "us-east-1"), "production"),
        (Refused, "cannot have 7 regions", ("eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "us-east-1",
                                            "us-west-2", "ap-south-1"), "trial"),
    ],
)  # fmt: skip
def test_where_it_cannot_be(
    kind: type[CortexctlError], message: str, regions: tuple[str, ...], profile: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        settings.place(profile, regions, WANTED)
    assert type(raised.value) is kind
    assert raised.value.todo
