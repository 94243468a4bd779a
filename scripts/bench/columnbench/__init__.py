"""Measures the column engine beside its peers: what scripts/bench/columns.py runs."""
