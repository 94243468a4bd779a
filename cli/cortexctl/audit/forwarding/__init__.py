"""Forwarding of the audit log to what collects logs: at least once, from where it was left off."""

from cortexctl.audit.forwarding.configuration import Configuration, read
from cortexctl.audit.forwarding.forwarder import Forwarded, forward
from cortexctl.audit.forwarding.source import ServiceSource

__all__ = ["Configuration", "Forwarded", "ServiceSource", "forward", "read"]
