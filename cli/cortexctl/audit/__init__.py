"""The audit log as operators read it."""

from cortexctl.audit.trail import Filter, since, trail

__all__ = ["Filter", "since", "trail"]
