"""cortexctl key."""

from __future__ import annotations

import typer

app = typer.Typer(help="Keys: list and rotate.", no_args_is_help=True)
