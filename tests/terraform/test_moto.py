"""A region's stack applied to a stand-in of AWS: made, looked at, made again without a change, taken down.

The provider waits for what it makes as it would for AWS, at least half a minute for a database.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from terraform.aws import Aws

pytest.importorskip("flask", reason="moto's server needs flask, which is not installed")
pytestmark = pytest.mark.exhaustive

REGION, PEER, ACCOUNT = "eu-west-1", "us-east-1", "123456789012"
ROOT = """
terraform {
  backend "local" {}
}
provider "aws" {
  access_key                  = "nobody"
  secret_key                  = "nothing"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""
# By module what moto 5.2 cannot do. The cache as a whole: moto makes no replication group.
OVERRIDES = {
    # No calls for access entries, add-ons and pod identities.
    "cluster": """
resource "aws_eks_access_entry" "administrator" { for_each = toset([]) }
resource "aws_eks_access_policy_association" "administrator" { for_each = toset([]) }
resource "aws_eks_addon" "after_machines" { for_each = toset([]) }
resource "aws_eks_addon" "before_machines" { for_each = {} }
resource "aws_eks_pod_identity_association" "pod" { for_each = {} }
# Forgotten, or told in addition.
resource "aws_eks_cluster" "this" {
  lifecycle { ignore_changes = [access_config, upgrade_policy] }
}
resource "aws_eks_node_group" "machines" {
  lifecycle {
    ignore_changes = [node_repair_config, remote_access, scaling_config[0].desired_size, update_config]
  }
}
resource "aws_launch_template" "machines" {
  lifecycle { ignore_changes = [tag_specifications] }
}
# The security group that moto names is not there.
output "security_group_id" { value = aws_security_group.machines.id }
""",
    # Insights are forgotten, and a provisioned cluster is told to scale like a serverless one. Instances get
    # another authority than they ask for: the provider would change it, reboot, and wait for minutes.
    "database": """
resource "aws_rds_cluster" "this" {
  lifecycle {
    ignore_changes = [
      database_name, engine_version, global_cluster_identifier, master_username,
      replication_source_identifier, scaling_configuration,
    ]
  }
}
resource "aws_rds_cluster_instance" "this" {
  ca_cert_identifier = null
  lifecycle {
    ignore_changes = [engine_version, performance_insights_enabled, performance_insights_kms_key_id]
  }
}
resource "aws_vpc_security_group_ingress_rule" "nodes" {
  lifecycle { ignore_changes = [description] }
}
""",
    # No calls for selections, tests, notifications and the recovery points that a vault is emptied of.
    "dr": """
resource "aws_backup_selection" "this" { count = 0 }
resource "aws_backup_restore_testing_plan" "this" { count = 0 }
resource "aws_backup_restore_testing_selection" "this" {
  for_each                  = {}
  restore_testing_plan_name = "none"
}
resource "aws_backup_vault_notifications" "this" { count = 0 }
resource "aws_backup_vault" "this" { force_destroy = false }
""",
    # The kind of a key, and what a rule that names another group is for, are forgotten.
    "ingress": """
resource "aws_acm_certificate" "this" {
  lifecycle { ignore_changes = [key_algorithm] }
}
resource "aws_vpc_security_group_egress_rule" "nodes" {
  lifecycle { ignore_changes = [description] }
}
resource "aws_vpc_security_group_ingress_rule" "nodes" {
  lifecycle { ignore_changes = [description] }
}
""",
    # How often a key is rotated is forgotten.
    "keys": """
resource "aws_kms_key" "primary" {
  lifecycle { ignore_changes = [rotation_period_in_days] }
}
""",
    # Which objects are copied is forgotten: all are.
    "objectstore": """
resource "aws_s3_bucket_replication_configuration" "this" {
  lifecycle { ignore_changes = [rule] }
}
""",
    # The key of metrics is forgotten.
    "observability": """
resource "aws_prometheus_workspace" "this" {
  lifecycle { ignore_changes = [kms_key_arn] }
}
""",
}
CACHE = """
output "arns" { value = ["arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:cortexkg-default"] }
output "endpoint" { value = "cache:6379" }
output "user" { value = "cortexkg-default-node" }
"""
# Tags of backups are forgotten, and cannot be ignored: a second plan gives them again.
WRONG = {"module.dr.aws_backup_plan.this", "module.dr.aws_backup_vault.this"}


class Stack:
    """A region's stack in a copy, pointed at a stand-in."""

    def __init__(self, aws: Aws, endpoint: str) -> None:
        self._aws, self.endpoint = aws, endpoint
        copied = aws.copy()
        self.root = copied / "stacks/aws/region"
        (self.root / "moto_override.tf").write_text(ROOT)
        for module, override in OVERRIDES.items():
            (copied / "modules" / module / "moto_override.tf").write_text(override)
        (copied / "modules/cluster/moto.tf").write_text('resource "aws_security_group" "machines" {}\n')
        (copied / "modules/cache/main.tf").unlink()
        (copied / "modules/cache/outputs.tf").write_text(CACHE)
        aws.init(self.root)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._aws.run(self.root, *arguments)

    def apply(self, *plan: str) -> None:
        done = self.run("apply", "-auto-approve", "-parallelism=40", *plan)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr

    def planned(self) -> set[str]:
        """Return the addresses of what a plan would change."""
        done = self.run("plan", "-out=plan")
        assert done.returncode == 0, done.stderr
        shown = json.loads(self.run("show", "-json", "plan").stdout)
        return {
            each["address"] for each in shown["resource_changes"]
            if each["change"]["actions"] not in (["no-op"], ["read"])
        }  # fmt: skip

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            region,
            endpoint_url=self.endpoint,
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )


@pytest.fixture(scope="module")
def attached(aws: Aws, endpoint: str) -> Iterator[None]:
    with aws.attached(AWS_ENDPOINT_URL=endpoint):
        yield


@pytest.fixture(scope="module")
def stack(aws: Aws, endpoint: str, attached: None) -> Stack:
    made = Stack(aws, endpoint)
    vpc = made.client("ec2", PEER).create_vpc(CidrBlock="10.48.0.0/16")["Vpc"]["VpcId"]
    keys = {
        purpose: f"arn:aws:kms:{PEER}:{ACCOUNT}:key/mrk-{purpose}"
        for purpose in ("audit", "data", "logs", "secrets")
    }
    variables = {
        "deployment": "default", "region": REGION, "founder": REGION, "domain": "api.example.org",
        "regions": {REGION: "10.32.0.0/16", PEER: "10.48.0.0/16"},
        "zones": [f"{REGION}{zone}" for zone in "abc"],
        "peers": {PEER: {"vpc_id": vpc, "asked": {}, "keys": keys, "tenant_keys": {}}},
        "administrators": [f"arn:aws:iam::{ACCOUNT}:role/platform"], "recipients": ["on-call@example.org"],
        "protected": False, "machines": {"types": ["m7g.xlarge"], "min": 1, "max": 3},
        "database": {"instances": 1},
        "master_password": "correct-horse-battery-staple-forty-two",
        "tenants": {"acme": {"concepts": 1000, "columns": 1000, "storage": 1_000_000, "requests": 10}},
    }  # fmt: skip
    (made.root / "terraform.tfvars.json").write_text(json.dumps(variables))
    made.apply()
    return made


def test_makes_what_it_says(stack: Stack) -> None:
    s3, rds, kms = stack.client("s3"), stack.client("rds"), stack.client("kms")
    for store in ("audit", "data"):
        bucket = f"cortexkg-default-{ACCOUNT}-{REGION}-{store}"
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        (rule,) = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"]
        assert rule["Destination"]["Bucket"] == f"arn:aws:s3:::{bucket.replace(REGION, PEER)}"
    (cluster,) = rds.describe_db_clusters()["DBClusters"]
    assert cluster["StorageEncrypted"] and cluster["IAMDatabaseAuthenticationEnabled"]
    (instance,) = rds.describe_db_instances()["DBInstances"]
    assert not instance["PubliclyAccessible"]
    tenant = kms.describe_key(KeyId="alias/cortexkg-default-acme/v1")["KeyMetadata"]
    assert tenant["MultiRegion"] and kms.get_key_rotation_status(KeyId=tenant["KeyId"])["KeyRotationEnabled"]


def test_keeps_the_password_nowhere(stack: Stack) -> None:
    assert "correct-horse" not in (stack.root / "terraform.tfstate").read_text()


def test_a_second_plan_and_apply_change_nothing_but_what_moto_gets_wrong(stack: Stack) -> None:
    assert stack.planned() == WRONG
    stack.apply("plan")
    assert stack.planned() == WRONG


def test_is_taken_down(stack: Stack) -> None:
    done = stack.run("destroy", "-auto-approve", "-refresh=false", "-parallelism=40")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert json.loads((stack.root / "terraform.tfstate").read_text())["resources"] == []
    # Other tests have buckets for their states in the same stand-in.
    buckets = stack.client("s3").list_buckets()["Buckets"]
    assert [each["Name"] for each in buckets if each["Name"].startswith("cortexkg-")] == []
