"""cortexctl in a copy of its checkout with small stacks in the place of AWS' own, and moto behind them.

The small stacks have the variables and the outputs of the real ones and make next to nothing, so that what is
tested is how cortexctl drives them: the states in S3, their locks, stages, plans. `QUEUE` makes something by
the provider of AWS, which costs seconds a call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
BUCKET, STATES_REGION = "acme-states", "eu-central-1"
BACKEND = 'terraform {\n  backend "s3" {\n    encrypt = true\n    use_lockfile = true\n  }\n}\n'
GLOBAL = """
variable "deployment" {}
variable "domain" {}
variable "founder" {}
variable "protected" {}
variable "recipients" {}
variable "zone_id" {}
variable "accelerator" {}
variable "load_balancers" {}
resource "terraform_data" "edge" { input = keys(var.load_balancers) }
output "edge_url" { value = "https://${var.domain}" }
output "global_cluster" { value = "cortexkg-${var.deployment}" }
"""
REGION = """
variable "deployment" {}
variable "domain" {}
variable "founder" {}
variable "protected" {}
variable "recipients" {}
variable "region" {}
variable "regions" {}
variable "zones" {}
variable "administrators" {}
variable "ways" { type = set(string) }
variable "machines" { default = 3 }
variable "wait" { default = "0" }
variable "master_password" {
  default   = null
  ephemeral = true
}
variable "peers" {
  validation {
    condition     = var.region == var.founder || contains(keys(var.peers), var.founder)
    error_message = "The founding region is made first."
  }
}
resource "terraform_data" "vpc" { input = var.region }
resource "terraform_data" "machines" {
  input = var.machines
  provisioner "local-exec" { command = "sleep ${var.wait}" }
}
resource "terraform_data" "way" {
  for_each = var.ways
  input    = each.key
}
output "peer" {
  value = { vpc_id = "vpc-${terraform_data.vpc.output}", keys = {}, tenant_keys = {} }
}
output "load_balancer" { value = { arn = "arn", name = terraform_data.vpc.output, zone_id = "Z" } }
output "ways" { value = sort(keys(terraform_data.way)) }
"""
QUEUE = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}
provider "aws" {
  region                      = var.founder
  skip_metadata_api_check     = true
  default_tags {
    tags = { "cortexkg:deployment" = var.deployment, "cortexkg:stack" = "global" }
  }
}
resource "aws_ssm_parameter" "edge" {
  name  = "edge"
  type  = "String"
  value = var.domain
}
"""
SETTINGS = f"""
domain: api.example.org
zone_id: Z123
states: {{bucket: {BUCKET}, region: {STATES_REGION}}}
administrators: ["arn:aws:iam::123456789012:role/platform"]
recipients: [on-call@example.org]
accelerator: false
"""


class Cloud:
    """A copy of the checkout, a state home, settings, and a stand-in of AWS at `endpoint`."""

    def __init__(self, place: Path, endpoint: str) -> None:
        self.place, self.endpoint = place, endpoint
        for name in ("cli", "runtime", "policies"):
            (place / name).symlink_to(ROOT / name) if name == "runtime" else shutil.copytree(
                ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        self.stacks = place / "terraform" / "stacks" / "aws"
        (place / "terraform" / "modules").mkdir(parents=True)
        for name, text in (("global", GLOBAL), ("region", REGION)):
            (self.stacks / name).mkdir(parents=True)
            (self.stacks / name / "main.tf").write_text(BACKEND + text)
        self.settings = place / "settings.yaml"
        self.settings.write_text(SETTINGS)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_", "CORTEX"))
        } | {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "2",
            "XDG_STATE_HOME": str(place / "state"), "PYTHONPATH": f"{place / 'cli'}:{ROOT / 'runtime'}",
        }  # fmt: skip
        s3 = self.client("s3", STATES_REGION)
        where = {"LocationConstraint": STATES_REGION}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))

    def client(self, service: str, region: str) -> Any:
        return boto3.client(
            service, region, endpoint_url=self.endpoint, aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cortexctl.main", "--deployment", "trial", *words]

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in (self.environment | settings).items() if value}
        return subprocess.run(
            self.command(*words), env=environment, cwd=self.place, text=True, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=300, check=False,
        )  # fmt: skip

    def wish(self, *regions: str, profile: str = "production") -> tuple[str, ...]:
        words = [word for region in regions or REGIONS for word in ("--region", region)]
        return ("--platform", "aws", "--profile", profile, "--settings", str(self.settings), *words)
