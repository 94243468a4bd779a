"""cortexctl evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import OutputOption
from cortexctl.render import Output

app = typer.Typer(help="Signed statements: receipts, drills, reviews, reports.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep verify a command of its own beside those to come."""


@app.command()
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The statement's file.", show_default=False)],
    *,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", help="PEM to trust; else the deployment's.", show_default=False),
    ] = None,
    audit_key: Annotated[
        Path | None,
        typer.Option(
            "--audit-key", help="PEM of the key that signs the audit log; for a receipt.", show_default=False
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a signed statement, by file and public keys alone. Exits with 3 when it is not to be believed."""
    from cortexctl import deployment, evidence  # noqa: PLC0415 - --help must be quick

    keys = {} if public_key else evidence.key_paths(deployment.load(context.obj))
    believed = evidence.verify(file, public_key or keys["public_key"], audit_key or keys.get("audit_key"))
    render.data(render.plain(believed), output if output is not Output.TABLE else Output.YAML)
