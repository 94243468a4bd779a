"""Questions to the person at the terminal."""

from __future__ import annotations

import sys

import typer

from cortexctl.errors import Refused, UsageError


def confirm(question: str, *, yes: bool) -> None:
    """Go on when `yes` was given, or is answered. Raises UsageError without a terminal, Refused on no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "This asks before it goes on.", why="There is no terminal to ask.", todo="Give --yes."
        )
    if not typer.confirm(question, err=True):
        raise Refused("You said no; nothing was changed.")
