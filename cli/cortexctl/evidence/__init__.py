"""Signed statements of a deployment: kept, and checked."""

from cortexctl.evidence.statements import keep, public_key_path, verify

__all__ = ["keep", "public_key_path", "verify"]
