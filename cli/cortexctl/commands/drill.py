"""cortexctl drill."""

from __future__ import annotations

import typer

app = typer.Typer(help="Disaster-recovery drills.", no_args_is_help=True)
