"""cortexctl in a copy of its checkout with small stacks in the place of AWS' own, and moto behind them.

The small stacks have the variables and the outputs of the real ones and make next to nothing, so that what is
tested is how cortexctl drives them: the states in S3, their locks, stages, plans. `QUEUE` makes something by
the provider of AWS, which costs seconds a call.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
  input            = var.machines
  triggers_replace = [var.region, var.wait]
  provisioner "local-exec" { command = "touch started && exec sleep ${var.wait}" }
}
locals {
  later    = [for region in keys(var.peers) : region if sort([var.region, region])[0] == var.region]
  asked    = { for region in local.later : region => "pcx-${var.region}" }
  answered = [for region, peer in var.peers : region if contains(keys(peer.asked), var.region)]
}
resource "terraform_data" "way" {
  for_each = setunion(keys(local.asked), local.answered)
  input    = each.key
}
output "peer" {
  value = { vpc_id = "vpc-${terraform_data.vpc.output}", asked = local.asked, keys = {}, tenant_keys = {} }
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
        self.name = f"t{uuid.uuid4().hex[:8]}"  # states of many lie in one bucket
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("cli", "policies"):
            shutil.copytree(ROOT / name, place / name, ignore=ignored)
        self.stacks = place / "terraform" / "stacks" / "aws"
        (place / "terraform" / "modules").mkdir(parents=True)
        for name, text in (("global", GLOBAL), ("region", REGION)):
            (self.stacks / name).mkdir(parents=True)
            (self.stacks / name / "main.tf").write_text(BACKEND + text)
        self.settings = place / "settings.yaml"
        self.set()
        foreign = ("TF_", "AWS_", "CORTEX")  # nobody's own settings or accounts
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment |= {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "2",
            "XDG_STATE_HOME": str(place / "state"), "PYTHONPATH": f"{place / 'cli'}:{ROOT / 'runtime'}",
        }  # fmt: skip

    def set(self, **options: object) -> None:
        """Write the settings, with these beside the usual ones."""
        self.settings.write_text(SETTINGS + "".join(f"{k}: {json.dumps(v)}\n" for k, v in options.items()))

    def wish(self, *regions: str, profile: str = "production") -> tuple[str, ...]:
        words = [word for region in regions or REGIONS for word in ("--region", region)]
        return ("--platform", "aws", "--profile", profile, "--settings", str(self.settings), *words)

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run cortexctl without a terminal; a setting that is empty is unset."""
        return subprocess.run(
            self.command(*words), env=self.settled(settings), text=True, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=300, check=False,
        )  # fmt: skip

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cortexctl.main", "--deployment", self.name, *words]

    def settled(self, settings: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in (self.environment | settings).items() if value}

    @contextmanager
    def begun(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Yield an `up`, the first of a session of its own, that waits for the founding region's machines."""
        self.set(options={"wait": "60"})
        root = self.place / "state" / "cortexkg" / self.name / "terraform" / REGIONS[0]
        started = root / "source" / "stacks" / "aws" / "region" / "started"
        started.unlink(missing_ok=True)
        # Whoever has started the tests in the background lets their children ignore SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(
            self.command("up", "--settings", str(self.settings), *words, "--yes"), env=self.settled({}),
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                until = time.monotonic() + 60
                while not started.exists():
                    assert process.poll() is None and time.monotonic() < until
                    time.sleep(0.05)
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def s3(self) -> Any:
        return client("s3", STATES_REGION, self.endpoint)

    def state(self, root: str) -> dict[str, Any]:
        """Return a root's state, as the bucket has it."""
        found = self.s3().get_object(Bucket=BUCKET, Key=f"{self.name}/{root}.tfstate")
        state: dict[str, Any] = json.loads(found["Body"].read())
        return state

    def lock(self, root: str) -> dict[str, Any] | None:
        """Return the lock on a root's state, None when there is none."""
        s3 = self.s3()
        try:
            found = s3.get_object(Bucket=BUCKET, Key=f"{self.name}/{root}.tfstate.tflock")
        except s3.exceptions.NoSuchKey:
            return None
        lock: dict[str, Any] = json.loads(found["Body"].read())
        return lock


def client(service: str, region: str, endpoint: str) -> Any:
    return boto3.client(
        service, region, endpoint_url=endpoint, aws_access_key_id="nobody", aws_secret_access_key="nothing"
    )


def make_bucket(endpoint: str) -> None:
    """Make the bucket of states as docs/aws.md asks for."""
    s3 = client("s3", STATES_REGION, endpoint)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": STATES_REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))


class Door:
    """A door to moto that may be shut: with a `fault`, calls that `shut` chooses get it as AWS' answer."""

    def __init__(self, port: int) -> None:
        self.fault = ""
        self.shut: Callable[[str, str], bool] = lambda method, path: True
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if door.fault and door.shut(self.command, self.path):
                    text = f"<Error><Code>{door.fault}</Code><Message>as the test wants it</Message></Error>"
                    if f"/{BUCKET}" not in self.path:  # only S3 says it bare
                        text = f"<ErrorResponse>{text}</ErrorResponse>"
                    self.answer(503 if door.fault == "SlowDown" else 400, {}, text.encode())
                    return
                inner = HTTPConnection("127.0.0.1", port, timeout=60)
                inner.request(self.command, self.path, body, dict(self.headers))
                given = inner.getresponse()
                self.answer(given.status, dict(given.getheaders()), given.read())
                inner.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                unwanted = {"transfer-encoding", "connection", "date", "server"}
                if self.command != "HEAD":
                    unwanted.add("content-length")
                    self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    if name.lower() not in unwanted:
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
