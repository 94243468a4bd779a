"""What the platform asks of AWS and changes there, against moto."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from cortexctl import platforms
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused, UsageError
from cortexctl.platforms.aws import AwsPlatform, traffic

pytestmark = pytest.mark.usefixtures("moto")
NAME, REGION = "cortexkg-trial", "eu-west-1"
OPEN = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.fixture
def platform(deployment: Deployment) -> AwsPlatform:
    made = platforms.of(deployment)
    assert isinstance(made, AwsPlatform)
    return made


def make_machines(region: str, *, wanted: int = 3) -> Any:
    client = boto3.client("eks", region)
    role = "arn:aws:iam::123456789012:role/machines"
    client.create_cluster(name=NAME, roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1"]})
    client.create_nodegroup(
        clusterName=NAME,
        nodegroupName="machines",
        subnets=["subnet-1"],
        nodeRole=role,
        scalingConfig={"minSize": 3, "desiredSize": wanted, "maxSize": 30},
    )
    return client


def make_bucket(name: str, region: str) -> Any:
    client = boto3.client("s3", region)
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **where)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(OPEN, True))
    return client


def test_scales_machines_within_their_bounds(platform: AwsPlatform) -> None:
    client = make_machines(REGION)
    assert platform.scale(REGION, 7).wanted == 7
    found = client.describe_nodegroup(clusterName=NAME, nodegroupName="machines")["nodegroup"]
    assert found["scalingConfig"] == {"minSize": 3, "desiredSize": 7, "maxSize": 30}
    with pytest.raises(UsageError, match="31"):
        platform.scale(REGION, 31)
    with pytest.raises(UsageError, match="2"):
        platform.scale(REGION, 2)


def test_a_region_without_a_cluster_is_told(platform: AwsPlatform) -> None:
    with pytest.raises(Refused, match=r"EKS says nothing of the machines of cortexkg-trial in us-east-1"):
        platform.scale("us-east-1", 5)


def test_living_are_the_regions_whose_machines_serve(platform: AwsPlatform, deployment: Deployment) -> None:
    for region in deployment.nodes_a_region:
        make_machines(region)
    assert platform.living() == set(deployment.nodes_a_region)


def test_the_database_is_told_region_by_region(platform: AwsPlatform) -> None:
    boto3.client("rds", REGION).create_global_cluster(
        GlobalClusterIdentifier=NAME, Engine="aurora-postgresql"
    )
    boto3.client("rds", REGION).create_db_cluster(
        DBClusterIdentifier=NAME, Engine="aurora-postgresql", GlobalClusterIdentifier=NAME,
        MasterUsername="cortex", MasterUserPassword="correct-horse",
    )  # fmt: skip
    found = {each.region: each.role for each in platform.database()}
    assert found == {"eu-west-1": "primary", "us-east-1": "absent", "ap-south-1": "absent"}


def test_a_global_database_that_is_not_there(platform: AwsPlatform) -> None:
    with pytest.raises(Refused, match="There is no global database cortexkg-trial"):
        platform.database()


def test_dns_takes_a_region_out_and_back(platform: AwsPlatform) -> None:
    client = boto3.client("route53", "us-east-1")
    for region in ("eu-west-1", "us-east-1"):
        wanted = {"Type": "HTTPS", "FullyQualifiedDomainName": f"{region}.api.example.org", "Port": 443}
        client.create_health_check(CallerReference=region, HealthCheckConfig=wanted)

    def held_sick() -> dict[str, bool]:
        checks = [each["HealthCheckConfig"] for each in client.list_health_checks()["HealthChecks"]]
        return {each["FullyQualifiedDomainName"]: each["Disabled"] and each["Inverted"] for each in checks}

    traffic.answer_by_dns(client, "eu-west-1.api.example.org", percent=0)
    assert held_sick() == {"eu-west-1.api.example.org": True, "us-east-1.api.example.org": False}
    traffic.answer_by_dns(client, "eu-west-1.api.example.org", percent=100)
    assert not any(held_sick().values())
    with pytest.raises(UsageError, match="Without an accelerator"):
        traffic.answer_by_dns(client, "eu-west-1.api.example.org", percent=30)
    with pytest.raises(Refused, match="no health check"):
        traffic.answer_by_dns(client, "mars.api.example.org", percent=0)


def test_a_token_is_a_signed_question_who_asks(platform: AwsPlatform) -> None:
    status = platform.token(REGION)["status"]
    assert isinstance(status, dict)
    prefix, encoded = status["token"][:11], status["token"][11:]
    assert prefix == "k8s-aws-v1."
    url = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc) == ("https", "sts.eu-west-1.amazonaws.com")
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-Expires"] == ["60"]
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0].split(";")


def test_a_kubeconfig_asks_us_for_its_tokens(platform: AwsPlatform) -> None:
    make_machines(REGION)
    found: Any = platform.kubeconfig(REGION)
    assert found["clusters"][0]["cluster"]["server"].startswith("https://")
    words = found["users"][0]["user"]["exec"]["args"]
    assert words[-4:] == ["aws", "token", "--region", REGION]


def test_checks_say_what_is_wrong_with_keys_and_buckets(
    platform: AwsPlatform, deployment: Deployment
) -> None:
    make_bucket("acme-states", "eu-central-1")
    for region in deployment.nodes_a_region:
        kms = boto3.client("kms", region)
        for purpose in ("audit", "data", "logs", "secrets"):
            key = kms.create_key()["KeyMetadata"]["KeyId"]
            kms.enable_key_rotation(KeyId=key)
            kms.create_alias(AliasName=f"alias/cortexkg/trial/{purpose}", TargetKeyId=key)
        for store in ("audit", "data"):
            make_bucket(f"{NAME}-123456789012-{region}-{store}", region)
    assert {each.fault for each in platform.checks()} == {""}
    kms = boto3.client("kms", "us-east-1")
    kms.disable_key_rotation(
        KeyId=kms.describe_key(KeyId="alias/cortexkg/trial/data")["KeyMetadata"]["KeyId"]
    )
    kms.delete_alias(AliasName="alias/cortexkg/trial/logs")
    s3 = boto3.client("s3", "us-east-1")
    s3.delete_public_access_block(Bucket=f"{NAME}-123456789012-us-east-1-data")
    s3.delete_bucket(Bucket=f"{NAME}-123456789012-us-east-1-audit")
    faults = {each.what: each.fault for each in platform.checks() if each.fault}
    assert faults == {
        "alias/cortexkg/trial/data": "it is not rotated",
        "alias/cortexkg/trial/logs": "it is missing",
        f"{NAME}-123456789012-us-east-1-data": "it may be opened to the public",
        f"{NAME}-123456789012-us-east-1-audit": "it is missing",
    }


def test_a_bucket_of_states_without_versions_is_refused(platform: AwsPlatform) -> None:
    client = make_bucket("acme-states", "eu-central-1")
    platform.prepare()
    client.put_bucket_versioning(Bucket="acme-states", VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(Refused) as refused:
        platform.prepare()
    assert refused.value.why == "It keeps no versions."


@pytest.mark.parametrize("verb", ["stop", "owner", "listeners"])
def test_what_aws_does_itself_is_refused_with_what_to_use(platform: AwsPlatform, verb: str) -> None:
    with pytest.raises(Refused) as refused:
        getattr(platform, verb)()
    assert refused.value.todo
