"""Signed statements of a deployment: made, kept, found, and checked."""

from cortexctl.evidence.statements import Believed, Kept, keep, kept, key_paths, signed, verify

__all__ = ["Believed", "Kept", "keep", "kept", "key_paths", "signed", "verify"]
