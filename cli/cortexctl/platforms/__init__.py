"""Where regions live: one module a platform behind one protocol."""
