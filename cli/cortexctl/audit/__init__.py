"""The audit log as operators read it, take it away, and prove it."""

from cortexctl.audit.archive import export, public_key, trees
from cortexctl.audit.live import verify_all
from cortexctl.audit.proving import check, consistency, inclusion
from cortexctl.audit.trail import Filter, since, trail
from cortexctl.audit.verifying import verify

__all__ = [
    "Filter",
    "check",
    "consistency",
    "export",
    "inclusion",
    "public_key",
    "since",
    "trail",
    "trees",
    "verify",
    "verify_all",
]
