"""Tenants' keys in AWS KMS, by the real command line and a real node: in three regions, which moto plays."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from cortex_runtime.formats.kms import alias
from cortexctl.deployment import KmsPlace
from cortexctl.tenants import kms as making
from unit import postgres
from unit.server import amazon
from unit.server.house import House
from unit.server.node import REGION, Node

PLACES = {"eu-west": "eu-west-1", "us-east": "us-east-1", "ap-south": "ap-south-1"}
CREDENTIALS = "[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
NOBODY = {
    "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}  # fmt: skip


class Platform(House):
    """A deployment with its keys in AWS KMS."""

    def __init__(self, home: Path, node: Node, kms: KmsPlace) -> None:
        super().__init__(home, node, kms)
        self.clients = {
            place: boto3.client(
                "kms", region_name=place, endpoint_url=kms.endpoint, aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
            for place in PLACES.values()
        }  # fmt: skip

    def key(self, place: str, name: str) -> Any:
        return self.clients[place].describe_key(KeyId=name)["KeyMetadata"]

    def wrapping(self, tenant: str) -> list[int]:
        found: list[int] = self.node.operator("GET", f"/v1/tenants/{tenant}/keys/wrapping")["kek_versions"]
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[amazon.Kms]:
    with amazon.running() as made:
        yield made


@pytest.fixture(scope="module")
def platform(aws: amazon.Kms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("kms")
    credentials = home / "credentials"
    credentials.write_text(CREDENTIALS)
    place = KmsPlace(PLACES, aws.endpoint, str(credentials))
    with postgres.running(home) as database:
        node = Node(home / "node", database)
        node.directory.mkdir()
        node.keys_url = (
            f"kms://{PLACES[REGION]}?owner=trial-1234&endpoint={place.endpoint}&credentials={credentials}"
        )
        node.prepare()
        try:
            node.start()
            made = Platform(home / "house", node, place)
            with made.doors():
                yield made
        finally:
            node.stop(signal.SIGKILL)
            node.http.close()


def test_a_tenants_key_is_made_in_every_region_and_rotated_by_wrapping_anew(platform: Platform) -> None:
    assert platform.json("tenant", "onboard", "acme", "--dry-run")["would_make_key"] is True
    assert platform.json("tenant", "onboard", "acme")["created"] is True
    assert platform.json("tenant", "onboard", "acme")["created"] is False
    first = {place: platform.key(place, alias("trial-1234", "acme")) for place in PLACES.values()}
    assert len({key["KeyId"] for key in first.values()}) == 1
    assert all(key["MultiRegion"] and place in key["Arn"] for place, key in first.items())
    platform.run("concept", "put", "acme", "dog", "a dog barks")
    (done,) = platform.json("key", "rotate", "--all", "--kek")
    assert (done["tenant"], done["kek_version"], done["kept"]) == ("acme", 2, [])
    assert platform.wrapping("acme") == [2]
    for place in PLACES.values():
        assert platform.key(place, alias("trial-1234", "acme"))["KeyId"] != first[place]["KeyId"]
        assert platform.key(place, alias("trial-1234", "acme", 1))["KeyState"] == "PendingDeletion"
        assert platform.key(place, alias("trial-1234", "acme", 2))["KeyState"] == "Enabled"
    platform.run("key", "rotate", "--tenant", "acme")
    assert platform.json("concept", "get", "acme", "dog")["text"] == "a dog barks"
    shown = platform.json("key", "verify", "--tenant", "acme")
    assert {each["check_value"] for each in shown} == {True}
    assert [each["kind"] for each in platform.json("key", "list")] == ["node-tokens", "operator-tokens"]
    platform.run("key", "rotate", "--due")  # nothing is
    for words in (("rotate", "--root"), ("seal", "--new-passphrase-file", "/dev/null")):
        assert "has no keyring" in platform.run("key", *words, expect=5)[1]


def test_a_tenant_that_leaves_has_its_keys_closed_at_once_and_the_receipt_says_when_they_are_gone(
    platform: Platform,
) -> None:
    for tenant in ("acme", "leaver"):
        platform.run("tenant", "onboard", tenant)
    platform.run("concept", "put", "leaver", "dog", "a dog barks")
    platform.run("key", "rotate", "--tenant", "leaver", "--kek")
    receipt = platform.json("tenant", "offboard", "leaver", "--yes")
    assert receipt["opened_versions"] == 0
    gone_at = datetime.fromisoformat(receipt["keys"].rpartition(" on ")[2])
    assert timedelta(days=6, hours=23) < gone_at - datetime.now(UTC) <= timedelta(days=7)
    assert "ap-south-1, eu-west-1, us-east-1" in receipt["keys"]
    for place in PLACES.values():
        for version in (1, 2):
            key = platform.key(place, alias("trial-1234", "leaver", version))
            assert (key["KeyState"], key["Enabled"]) == ("PendingDeletion", False)
    audit_key = platform.node.directory / "checkpoint.pub"
    believed = platform.json(
        "evidence", "verify", receipt["receipt"], "--public-key", receipt["public_key"],
        "--audit-key", str(audit_key),
    )  # fmt: skip
    assert believed["statement"]["predicate"]["keys"] == receipt["keys"]
    platform.run("tenant", "offboard", "leaver", "--yes")  # once more is as good as once
    assert platform.key("eu-west-1", alias("trial-1234", "acme"))["KeyState"] == "Enabled"


@pytest.mark.parametrize(
    ("code", "todo"),
    [("AccessDeniedException", "Permit it"), ("ThrottlingException", "Repeat it after a while"),
     pytest.param("ExpiredTokenException", "that are good now", marks=pytest.mark.exhaustive),
     pytest.param("KMSInternalException", "when KMS answers", marks=pytest.mark.exhaustive)],
)  # fmt: skip
def test_what_kms_refuses_is_told_and_nothing_is_half_done(
    platform: Platform, aws: amazon.Kms, code: str, todo: str
) -> None:
    """And what a node has open it goes on serving, without one 503."""
    platform.run("tenant", "onboard", "acme")
    platform.run("concept", "put", "acme", "cat", "a cat purrs")
    before = platform.wrapping("acme")
    with aws.failing(code):
        for words in (("tenant", "onboard", "late"), ("key", "rotate", "--tenant", "acme", "--kek")):
            _, told = platform.run(*words, expect=5)
            assert code in told and todo in told
        platform.run("key", "verify", "--tenant", "acme", expect=3)
        path = "/v1/tenants/acme/cortices/main/concepts/cat"
        token, _ = platform.run("tenant", "token", "acme")
        body = b'{"text": "a cat sleeps"}'
        for _ in range(20):
            assert platform.node.send_raw("GET", path, token.strip()).status_code == 200
            assert platform.node.send_raw("PUT", path, token.strip(), body).status_code == 200
    assert "late" not in {each["tenant"] for each in platform.json("tenant", "list")}
    assert platform.wrapping("acme") == before
    assert platform.json("key", "rotate", "--tenant", "acme", "--kek")["kek_version"] == before[-1] + 1
    assert platform.json("concept", "get", "acme", "cat")["text"] == "a cat sleeps"
    platform.run("key", "verify", "--tenant", "acme")


@pytest.mark.parametrize("words", [("tenant", "onboard", "late"), ("key", "rotate", "--all", "--kek")])
def test_without_credentials_or_a_way_to_kms_that_is_said(platform: Platform, words: tuple[str, ...]) -> None:
    platform.run("tenant", "onboard", "acme")
    yaml = platform.deployment.directory / "deployment.yaml"
    whole, place = yaml.read_text(), platform.deployment.kms
    assert place and place.endpoint and place.credentials_file
    try:
        yaml.write_text(whole.replace(place.credentials_file, "/dev/null"))
        assert "Unable to locate credentials" in platform.run(*words, expect=5, **NOBODY)[1]
        yaml.write_text(whole.replace(place.endpoint, "http://127.0.0.1:1"))
        assert "Could not connect" in platform.run(*words, expect=5)[1]
    finally:
        yaml.write_text(whole)


def test_an_onboarding_that_was_killed_between_two_regions_is_finished_by_the_next(
    platform: Platform,
) -> None:
    ensured = {"eu-west-1": platform.clients["eu-west-1"]}
    making.ensure_key(ensured, "trial-1234", "begun")
    making.next_key(ensured, "trial-1234", "begun")
    platform.run("tenant", "onboard", "begun")
    keys = {platform.key(place, alias("trial-1234", "begun"))["KeyId"] for place in PLACES.values()}
    assert len(keys) == 1
    assert platform.wrapping("begun") == [2]


def test_a_name_that_is_another_deployments_is_refused(platform: Platform) -> None:
    client = platform.clients["eu-west-1"]
    key = client.create_key(Tags=[{"TagKey": "cortexkg:deployment", "TagValue": "another"}])["KeyMetadata"]
    client.create_alias(AliasName=alias("trial-1234", "taken"), TargetKeyId=key["KeyId"])
    assert "of deployment another" in platform.run("tenant", "onboard", "taken", expect=5)[1]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [(("--kms", "eu-west-1"), 2, "names 1 AWS regions"), (("--kms", "a,b,c"), 5, "keeps its keys elsewhere"),
     (("--kms", ",,"), 2, "AWS regions")],
)  # fmt: skip
def test_up_says_what_is_wrong_with_its_kms(
    platform: Platform, words: tuple[str, ...], code: int, why: str
) -> None:
    assert why in platform.run("up", *words, expect=code)[1]


def test_up_is_refused_before_anything_is_made_when_kms_does_not_let_us_in(platform: Platform) -> None:
    words = ("--deployment", "fresh", "up", "--kms", "eu-west-1,us-east-1,ap-south-1")
    _, told = platform.run(*words, expect=5, AWS_ENDPOINT_URL_KMS="http://127.0.0.1:1", **NOBODY)
    assert "credentials" in told
    assert not (platform.deployment.directory.parent / "fresh").exists()
