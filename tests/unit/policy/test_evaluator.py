"""The evaluator: texts as they are, and what is broken is never a pass."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cortexctl import policies
from cortexctl.errors import CortexctlError, Refused
from cortexctl.policy import Judge, Rule, read_plan, rules_of
from cortexctl.policy.rules import libraries
from unit.policy.examples import FACTS, plan

RULES = rules_of("terraform")
RULE = next(rule for rule in RULES if rule.name == "private_databases")
OPEN = {"type": "aws_rds_cluster_instance", "after": {"publicly_accessible": True}}
NAMES = ['a"b', "a\\b", "a\nb", "a\tb", "ä🙂", "a]b", "%s", "{{x}}", "a\x1b[31m", "'"]


def denials(rule: Rule, document: object) -> list[tuple[str, str]]:
    matter = read_plan(json.dumps(document).encode(), "the plan")
    [verdict] = Judge([rule], FACTS).judge(matter)
    return [(each.address, each.message) for each in verdict.denials]


@pytest.mark.parametrize("name", NAMES)
def test_texts_come_out_as_they_went_in(name: str) -> None:
    document = plan([OPEN | {"index": name}], ())
    document["resource_changes"][0]["address"] = address = f'module.a["{name}"].aws_rds_cluster_instance.this'
    document["resource_changes"][0]["module_address"] = f'module.a["{name}"]'
    remedy = "Set publicly_accessible = false."
    assert denials(RULE, document) == [(address, f"{address}: it may get a public address. {remedy}")]


@pytest.mark.parametrize(
    "source",
    [
        RULE.source.replace("deny contains", "deny contains contains"),
        RULE.source.replace("import data.lib.plan", ""),
        RULE.source + '\nlist(x) := 1\n\nlist(x) := 2\n\ndeny contains {"msg": "a", "address": list(1)}\n',
        RULE.source + '\ndeny contains "a word"\n',
        RULE.source.replace("deny contains", "refuse contains"),
    ],
)
def test_a_broken_rule_is_an_error_and_no_pass(source: str) -> None:
    with pytest.raises(CortexctlError) as caught:
        denials(replace(RULE, source=source), plan([OPEN], ()))
    assert caught.value.exit_code == 1
    assert "could not be evaluated" in caught.value.what


def test_the_evaluator_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    rule = next(rule for rule in RULES if rule.name == "least_privilege")
    policy = {"type": "aws_iam_role_policy", "after": {"policy": "{not JSON"}}
    assert len(denials(rule, plan([policy], ()))) == 1
    assert capfd.readouterr() == ("", "")


def test_rules_name_every_type_that_they_look_at() -> None:
    """Each gets the resources of its `types` alone: one that is not named there would pass unseen."""
    for rule in RULES:
        if rule.types != ("*",):
            named = set(re.findall(r'"(aws_[a-z0-9_]+)"', rule.source))
            assert named == set(rule.types), rule.name


def test_rules_about_pods_look_at_all_that_run_pods() -> None:
    kinds = {
        "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController",
        "StatefulSet",
    }  # fmt: skip
    about = [rule for rule in rules_of("kubernetes") if "some c in manifests.containers" in rule.source]
    about += [rule for rule in rules_of("kubernetes") if "in manifests.workloads" in rule.source]
    assert len(about) >= 10
    for rule in about:
        assert kinds <= set(rule.types) or rule.name == "probes", rule.name


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("# METADATA", "#"), "# METADATA"),
        (("package terraform.private_databases", "package terraform.other"), "package"),
        (("severity: critical", "severity: dreadful"), "severity"),
        (("#   remedy: ", "#   cure: "), "cure"),
        (("# custom:", "# custom: ["), "expected"),
    ],
)
def test_a_rule_that_is_not_as_it_must_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str], says: str
) -> None:
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform/private_databases.rego").write_text(RULE.source.replace(*changed))
    monkeypatch.setattr(policies, "find", lambda name: tmp_path)
    with pytest.raises(Refused) as caught:
        rules_of("terraform")
    assert "private_databases.rego is not usable" in caught.value.what
    assert says in caught.value.why


def test_functions_of_one_name_take_as_many_arguments_everywhere() -> None:
    """The evaluator takes those of another package for them otherwise, and crashes."""
    taken: dict[str, set[int]] = {}
    sources = [source for _, source in libraries()] + [
        rule.source for rule in (*RULES, *rules_of("kubernetes"))
    ]
    for source in sources:
        for name, arguments in re.findall(r"^([a-z_]+)\(([^)]*)\)", source, re.MULTILINE):
            taken.setdefault(name, set()).add(arguments.count(","))
    assert len(taken) > 30
    assert {name for name, counts in taken.items() if len(counts) > 1} == set()
