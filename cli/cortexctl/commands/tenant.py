"""cortexctl tenant."""

from __future__ import annotations

import typer

app = typer.Typer(help="Tenants: onboard, import, list.", no_args_is_help=True)
