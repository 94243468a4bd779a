"""The control plane of CortexKG."""
