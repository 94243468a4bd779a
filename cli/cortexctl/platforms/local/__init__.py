"""Regions as process trees on one machine."""
