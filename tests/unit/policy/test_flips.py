"""The plan of a real region: it passes, and each guard that is taken away is missed by its rule alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cortexctl.policy import Judge, Verdict, read_plan, rules_of
from unit.policy.examples import FACTS
from unit.policy.region import plan, values

Plan = dict[str, Any]


def put(type_: str, **changes: Any) -> Callable[[Plan], None]:
    """Return what gives the first resource of a type other values."""

    def flip(plan: Plan) -> None:
        next(values(plan, type_)).update(changes)

    return flip


def remove(type_: str, index: str | None = None) -> Callable[[Plan], None]:
    """Return what takes a resource away."""

    def flip(plan: Plan) -> None:
        found = [r for r in plan["resource_changes"] if r["type"] == type_ and r.get("index") == index]
        assert found
        plan["resource_changes"] = [r for r in plan["resource_changes"] if r not in found]

    return flip


def replica_disabled(plan: Plan) -> None:
    next(values(plan, "aws_s3_bucket_replication_configuration"))["rule"][0]["status"] = "Disabled"


def everybody_to_the_database(plan: Plan) -> None:
    rule = next(
        each for each in values(plan, "aws_vpc_security_group_ingress_rule") if each["from_port"] == 5432
    )
    rule["cidr_ipv4"] = "0.0.0.0/0"


def unlogged(plan: Plan) -> None:
    next(values(plan, "aws_lb"))["access_logs"] = []


def no_key(plan: Plan) -> None:
    """The database's key is no more stated; that the provider will say which it took stays unknown."""
    database = plan["configuration"]["root_module"]["module_calls"]["database"]["module"]
    cluster = next(each for each in database["resources"] if each["type"] == "aws_rds_cluster")
    del cluster["expressions"]["kms_key_id"]


def destroyed(plan: Plan) -> None:
    bucket = next(r for r in plan["resource_changes"] if r["type"] == "aws_s3_bucket")
    bucket["change"]["actions"], bucket["change"]["before"] = ["delete", "create"], {}


def untagged(plan: Plan) -> None:
    del next(values(plan, "aws_eip"))["tags_all"]["cortexkg:stack"]


def elsewhere(plan: Plan) -> None:
    provider = plan["configuration"]["provider_config"]["aws"]
    provider["expressions"]["region"] = {"constant_value": "us-west-2"}


ALL = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
FLIPS: dict[str, Callable[[Plan], None]] = {
    "encryption_at_rest": put("aws_rds_cluster", storage_encrypted=False),
    "private_databases": put("aws_rds_cluster_instance", publicly_accessible=True),
    "deletion_protection": put("aws_rds_cluster", deletion_protection=False),
    "replication": replica_disabled,
    "customer_keys": no_key,
    "encryption_in_transit": put("aws_elasticache_replication_group", transit_encryption_enabled=False),
    "tls_versions": put("aws_lb_listener", ssl_policy="ELBSecurityPolicy-2016-08"),
    "private_buckets": put("aws_s3_bucket_public_access_block", block_public_policy=False),
    "private_network": everybody_to_the_database,
    "private_kubernetes": put("aws_eks_cluster", vpc_config=[{"endpoint_public_access": True}]),
    "least_privilege": put("aws_iam_role_policy", policy=ALL),
    "machine_metadata": put("aws_launch_template", metadata_options=[{"http_tokens": "optional"}]),
    "backups": put("aws_rds_cluster", backup_retention_period=1),
    "logs": unlogged,
    "destruction": destroyed,
    "tags": untagged,
    "regions": elsewhere,
}
MORE: list[tuple[str, Callable[[Plan], None]]] = [
    ("private_buckets", remove("aws_s3_bucket_public_access_block", "data")),
    ("encryption_at_rest", remove("aws_s3_bucket_server_side_encryption_configuration", "audit")),
    ("encryption_in_transit", remove("aws_s3_bucket_policy", "data")),
    ("backups", remove("aws_s3_bucket_versioning", "audit")),
    ("replication", remove("aws_s3_bucket_replication_configuration", "data")),
    ("logs", remove("aws_flow_log")),
    ("deletion_protection", put("aws_lb", enable_deletion_protection=False)),
    ("deletion_protection", put("aws_s3_bucket", force_destroy=True)),
]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(rules_of("terraform"), FACTS)


def verdicts(judge: Judge, plan: Plan) -> tuple[Verdict, ...]:
    return judge.judge(read_plan(json.dumps(plan).encode(), "the plan"))


def denying(judge: Judge, plan: Plan) -> set[str]:
    return {verdict.rule.name for verdict in verdicts(judge, plan) if verdict.denials}


def test_the_plan_passes_and_each_rule_has_looked_at_something(judge: Judge) -> None:
    for verdict in verdicts(judge, plan()):
        assert verdict.denials == ()
        assert verdict.seen


def test_each_rule_is_flipped() -> None:
    assert set(FLIPS) == {rule.name for rule in rules_of("terraform")}


@pytest.mark.parametrize(("rule", "flip"), [*FLIPS.items(), *MORE])
def test_a_guard_that_is_taken_away_is_missed_by_its_rule_alone(
    judge: Judge, rule: str, flip: Callable[[Plan], None]
) -> None:
    flipped = plan()
    flip(flipped)
    assert denying(judge, flipped) == {rule}
