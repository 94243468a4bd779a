"""Data keys of tenants: their versions, and rotation."""

from cortexctl.keys.rotation import Rotation, rotate, versions

__all__ = ["Rotation", "rotate", "versions"]
