"""What every plan must pass before it is applied."""

from __future__ import annotations

from collections.abc import Mapping

from cortexctl.deployment import Deployment
from cortexctl.policy import facts, plans, rules
from cortexctl.policy.evaluator import Judge
from cortexctl.policy.telling import refuse


def check(deployment: Deployment, documents: Mapping[str, bytes]) -> None:
    """Hold the plans of a deployment's roots, by their names, against the rules. Raises Refused."""
    judge = Judge(rules.load("terraform"), facts.load(deployment))
    verdicts = [
        verdict
        for name, content in documents.items()
        for verdict in judge.judge(plans.read(content, f"The plan of {name}"))
    ]
    refuse(verdicts, f"what would be applied to deployment {deployment.name!r}")
