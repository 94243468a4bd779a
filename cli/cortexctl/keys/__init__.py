"""Data keys of tenants: their versions, and rotation."""

from cortexctl.keys.rotation import Planned, Rotation, preview, region_doors, rotate, versions

__all__ = ["Planned", "Rotation", "preview", "region_doors", "rotate", "versions"]
