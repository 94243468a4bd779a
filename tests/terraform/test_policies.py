"""The stacks of AWS, planned against a stand-in of AWS, pass the policies until a guard is taken away."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cortexctl.policy import Judge, facts_of, read_plan, rules_of
from terraform.test_flips import FLIPS

pytest.importorskip("terraform.aws", reason="the stacks of AWS are not here")
pytest.importorskip("flask", reason="moto's server needs flask, which is not installed")
pytestmark = pytest.mark.exhaustive

ACCOUNT = "123456789012"
REGIONS = {"ap-south-1": "10.16.0.0/16", "eu-west-1": "10.32.0.0/16", "us-east-1": "10.48.0.0/16"}
STAND_IN = """
  access_key                  = "nobody"
  secret_key                  = "nothing"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""
# The guards of modules that their own tests miss, too (test_flips.py), and the rules.
DENIED = {
    "storage_encrypted": "encryption_at_rest",
    "publicly_accessible": "private_databases",
    "deletion_protection": "deletion_protection",
    "enable_deletion_protection": "deletion_protection",
    "status": "replication",
}
# What the rules look for in every plan, beside a module that has lost its guard.
BELOW = ["-target=module.network", "-target=module.objectstore"]
BACKEND = 'terraform {\n  backend "local" {}\n}\n'


def peer(region: str) -> dict[str, Any]:
    keys = {
        purpose: f"arn:aws:kms:{region}:{ACCOUNT}:key/mrk-{purpose}"
        for purpose in ("audit", "data", "logs", "secrets")
    }
    tenant = f"arn:aws:kms:{region}:{ACCOUNT}:key/mrk-acme"
    return {"vpc_id": f"vpc-{region}", "keys": keys, "tenant_keys": {"acme": tenant}, "asked": {}}


def variables(stack: str) -> dict[str, Any]:
    shared = {
        "deployment": "trial", "founder": "eu-west-1", "domain": "api.example.org",
        "recipients": ["on-call@example.org"],
    }  # fmt: skip
    if stack == "global":
        balancers = {
            region: {
                "arn": f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:loadbalancer/app/trial/1",
                "name": f"trial.{region}.elb.amazonaws.com",
                "zone_id": "Z1",
            }
            for region in REGIONS
        }
        return shared | {"zone_id": "Z0123456789ABC", "load_balancers": balancers}
    return shared | {
        "region": "us-east-1",
        "regions": REGIONS,
        "zones": [f"us-east-1{zone}" for zone in "abc"],
        "administrators": [f"arn:aws:iam::{ACCOUNT}:role/platform"],
        "peers": {region: peer(region) for region in ("ap-south-1", "eu-west-1")},
        "tenants": {"acme": {"concepts": 1000, "columns": 1000, "storage": 1_000_000, "requests": 10}},
    }


def planned(aws: Any, root: Path, endpoint: str, *options: str) -> dict[str, Any]:
    done = aws.run(root, "plan", "-out=plan", *options, AWS_ENDPOINT_URL=endpoint)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    shown: dict[str, Any] = json.loads(aws.run(root, "show", "-json", "plan").stdout)
    return shown


def denials(plan: dict[str, Any]) -> dict[str, list[str]]:
    found = Judge(rules_of("terraform"), facts_of(None)).judge(
        read_plan(json.dumps(plan).encode(), "the plan")
    )
    return {
        verdict.rule.name: [denial.message for denial in verdict.denials]
        for verdict in found
        if verdict.denials
    }


def guards(root: Path) -> list[tuple[Path, str, str, str, list[str]]]:
    """Return what stands in which file of a stack's copy, what it becomes, and the rule that must miss it.

    And what to plan: of a region the module alone, with what others stand on.
    """
    if root.name == "global":
        there = "storage_encrypted         = true"
        return [(root / "main.tf", there, "storage_encrypted = false", DENIED["storage_encrypted"], [])]
    modules = root.parents[2] / "modules"
    return [
        (modules / module / file, there, instead, DENIED[guard], [*BELOW, f"-target=module.{module}"])
        for module, file, there, instead, _ in FLIPS
        if (guard := there.split()[0]) in DENIED
    ]


@pytest.mark.parametrize("stack", ["global", "region"])
def test_a_plan_of_a_stack_passes_until_a_guard_is_taken_away(aws: Any, stack: str) -> None:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - it warns where flask is missing

    root = aws.copy() / "stacks/aws" / stack
    alias = 'provider "aws" {\n  alias = "us_east_1"' + STAND_IN if stack == "global" else ""
    (root / "moto_override.tf").write_text(BACKEND + 'provider "aws" {' + STAND_IN + alias)
    (root / "terraform.tfvars.json").write_text(json.dumps(variables(stack)))
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # The global stack has the provider twice, in two regions.
    alone = aws.attached(AWS_ENDPOINT_URL=f"http://{host}:{port}") if stack == "region" else nullcontext()
    try:
        with alone:
            aws.init(root)
            plan = planned(aws, root, f"http://{host}:{port}")
            assert denials(plan) == {}
            for path, there, instead, rule, options in guards(root):
                text = path.read_text()
                assert there in text
                path.write_text(text.replace(there, instead))
                plan = planned(aws, root, f"http://{host}:{port}", *options)
                assert set(denials(plan)) == {rule}, there
                path.write_text(text)
    finally:
        server.stop()
