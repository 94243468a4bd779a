"""The command groups: parse, call, render; no logic."""
