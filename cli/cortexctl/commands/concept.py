"""cortexctl concept."""

from __future__ import annotations

import typer

app = typer.Typer(help="Concepts: put, get, delete, relate.", no_args_is_help=True)
