"""Each rule against its examples: a failing one is denied by that rule alone, a passing one by none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortexctl.policy import Judge, rules_of
from cortexctl.policy.rules import Subject
from unit.policy.examples import EXAMPLES, FACTS, Example, examples

SUBJECTS: tuple[Subject, ...] = ("terraform", "kubernetes")
ALL = [example for subject in SUBJECTS for example in examples(subject)]
JUDGES: dict[Subject, Judge] = {}


def judge(subject: Subject) -> Judge:
    if subject not in JUDGES:
        JUDGES[subject] = Judge(rules_of(subject), FACTS)
    return JUDGES[subject]


@pytest.mark.parametrize("example", ALL, ids=str)
def test_it_is_denied_by_its_rule_alone(example: Example) -> None:
    verdicts = judge(example.subject).judge(example.matter())
    denying = {verdict.rule.name for verdict in verdicts if verdict.denials}
    assert denying == (set() if example.kind == "pass" else {example.rule})
    for verdict in verdicts:
        for denial in verdict.denials:
            what, _, rest = denial.message.partition(": ")
            assert (what, denial.address in verdict.seen) == (denial.address, True)
            assert rest.count(". ") >= 1, "it says what is wrong, and what to do"
            assert rest.endswith(".")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_rule_has_examples_of_both_kinds(subject: Subject) -> None:
    names = {rule.name for rule in rules_of(subject)}
    assert names
    for kind in ("pass", "fail"):
        assert {each.rule for each in ALL if (each.subject, each.kind) == (subject, kind)} == names
    assert {Path(path).stem for path in (EXAMPLES / subject).glob("*")} == names
