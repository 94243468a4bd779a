"""Signed statements of a deployment: kept, and checked."""

from cortexctl.evidence.statements import Believed, keep, key_paths, verify

__all__ = ["Believed", "keep", "key_paths", "verify"]
