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


def type_name(question: str, name: str) -> None:
    """Go on when the name is typed. Raises UsageError without a terminal, Refused when it is not the name."""
    if not sys.stdin.isatty():
        raise UsageError(
            "This asks for a name to be typed before it goes on.",
            why="There is no terminal to type it at, and --yes is not enough for this.",
            todo="Run it at a terminal.",
        )
    if typer.prompt(f"{question} Type {name} to go on", err=True) != name:
        raise Refused("That is not its name; nothing was changed.")
