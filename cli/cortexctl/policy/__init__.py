"""Policies: rules in Rego over plans of Terraform and manifests of Kubernetes, evaluated in this process."""

from cortexctl.policy.evaluator import Denial, Judge, Verdict
from cortexctl.policy.facts import Facts
from cortexctl.policy.facts import load as facts_of
from cortexctl.policy.manifests import read as read_manifests
from cortexctl.policy.plans import read as read_plan
from cortexctl.policy.rules import Rule
from cortexctl.policy.rules import load as rules_of
from cortexctl.policy.telling import explain, refuse, rows

__all__ = [
    "Denial",
    "Facts",
    "Judge",
    "Rule",
    "Verdict",
    "explain",
    "facts_of",
    "read_manifests",
    "read_plan",
    "refuse",
    "rows",
    "rules_of",
]
