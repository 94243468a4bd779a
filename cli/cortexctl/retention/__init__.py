"""How long what is kept: the policy, what is set in a deployment, and bringing the two together."""

from cortexctl.retention.policy import FILES, Policy, days, load
from cortexctl.retention.setting import Change, apply, changes

__all__ = ["FILES", "Change", "Policy", "apply", "changes", "days", "load"]
