"""Where the policies are: drills, roles, tiers, as files that people read and change."""

from __future__ import annotations

from pathlib import Path

from cortexctl.errors import Refused


def find(name: str) -> Path:
    """Return a file or directory of the checkout's policies. Raises Refused."""
    for parent in Path(__file__).resolve().parents:
        if (found := parent / "policies" / name).exists():
            return found
    raise Refused(
        f"policies/{name} is missing.",
        why="The policies stand beside the command line in its checkout.",
        todo="Run cortexctl from its checkout.",
    )
