"""Plans are judged before anything is applied: real Terraform, real rules, stacks of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortexctl import policies, provision, terraform
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.terraform import Event

RULE = """# METADATA
# title: Nothing is forbidden
# description: Made for a test.
# custom:
#   severity: high
#   remedy: Allow it.
#   types: [terraform_data]
package terraform.forbidden

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "it is forbidden", "Allow it") if {
	some r in plan.of({"terraform_data"})
	r.change.after.input == "forbidden"
}
"""
STACK = """
variable "python" { type = string }
variable "directory" { type = string }
variable "secret" {
  type      = string
  default   = null
  ephemeral = true
}
%s
resource "terraform_data" "this" { input = "%s" }
"""


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Return a deployment in two regions whose stacks, and whose one rule, are the test's."""
    regional = 'variable "region" {}\nvariable "load_balancer_port" {}\nvariable "nodes" {}'
    for name, variables in (
        ("global", 'variable "edge_port" {}\nvariable "regions" {}'),
        ("region", regional),
    ):
        (tmp_path / "stacks/aws" / name).mkdir(parents=True)
        (tmp_path / "stacks/aws" / name / "main.tf").write_text(
            'terraform {\n  backend "local" {}\n}' + STACK % (variables, "allowed")
        )
    rego = tmp_path / "policies/rego"
    (rego / "terraform").mkdir(parents=True)
    (rego / "terraform" / "forbidden.rego").write_text(RULE)
    (rego / "lib").symlink_to(policies.find("rego") / "lib")
    (tmp_path / "policies/deployment.yaml").symlink_to(policies.find("deployment.yaml"))
    monkeypatch.setattr(policies, "find", lambda name: tmp_path / "policies" / name)
    monkeypatch.setattr(terraform, "STACKS", tmp_path / "stacks")
    made = Deployment(
        name="trial",
        id="trial-1",
        profile="small",
        platform="aws",
        first_port=20000,
        nodes_a_region={"eu-west-1": 1, "us-east-1": 1},
        directory=tmp_path / "trial",
    )
    made.directory.mkdir()
    return made


def apply(deployment: Deployment, binary: Path, events: list[Event]) -> dict[str, dict[str, str]]:
    done = provision.apply(deployment, binary=binary, replace={}, on_event=events.append)
    return {name: outcome.actions for name, outcome in done.items()}


def left(deployment: Deployment, pattern: str) -> list[str]:
    return sorted(path.parent.name for path in deployment.directory.glob(f"terraform/*/{pattern}"))


def test_what_passes_is_applied_as_it_was_planned(deployment: Deployment, binary: Path) -> None:
    roots = ["eu-west-1", "global", "us-east-1"]
    assert apply(deployment, binary, []) == {name: {"terraform_data.this": "create"} for name in roots}
    assert left(deployment, "terraform.tfstate") == roots
    assert apply(deployment, binary, []) == {name: {} for name in roots}
    assert left(deployment, "*.tfplan") == []


def test_one_denial_stops_all_before_anything_is_applied(deployment: Deployment, binary: Path) -> None:
    main = terraform.STACKS / "aws/region/main.tf"
    main.write_text(
        main.read_text().replace('"allowed"', 'var.region == "us-east-1" ? "forbidden" : "allowed"')
    )
    events: list[Event] = []
    with pytest.raises(Refused) as caught:
        apply(deployment, binary, events)
    assert caught.value.exit_code == 5
    assert "terraform_data.this: it is forbidden. Allow it." in caught.value.why
    assert not [event for event in events if event.kind.startswith("apply")]
    assert left(deployment, "terraform.tfstate") == []
    assert left(deployment, "*.tfplan") == []
