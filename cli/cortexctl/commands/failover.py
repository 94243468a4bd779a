"""cortexctl failover."""

from __future__ import annotations

import typer

app = typer.Typer(help="A planned, or a forced, switch of the primary region.", no_args_is_help=True)
