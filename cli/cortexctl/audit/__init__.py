"""The audit log as operators read it, take it away, and prove it."""

from cortexctl.audit.archive import PUBLIC_KEY, export, public_key, trees
from cortexctl.audit.live import verify_all
from cortexctl.audit.proving import Proven, check, check_inclusion, consistency, inclusion
from cortexctl.audit.trail import Filter, since, trail
from cortexctl.audit.verifying import verify

__all__ = [
    "PUBLIC_KEY",
    "Filter",
    "Proven",
    "check",
    "check_inclusion",
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
