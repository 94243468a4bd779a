"""Signed statements of a deployment: made, kept, found, and checked."""

from cortexctl.evidence.statements import Kept, keep, kept, public_key_path, signed, verify

__all__ = ["Kept", "keep", "kept", "public_key_path", "signed", "verify"]
