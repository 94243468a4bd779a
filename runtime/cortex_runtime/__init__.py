"""The column runtime of CortexKG."""

__version__ = "0.1.0"
