"""cortexctl certificate."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption
from cortexctl.errors import ObjectiveMissed
from cortexctl.render import Output

app = typer.Typer(help="Certificates: list and renew.", no_args_is_help=True)

COLUMNS = ("place", "name", "subject", "state", "days_left", "expires", "serial", "shown_by")


@app.command("list")
def list_(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """List all certificates, and what each listener shows. Exits with 3 when one has a week left, or less."""
    from cortexctl import certificates, deployment, platforms  # noqa: PLC0415 - --help must be quick

    here = deployment.load(context.obj)
    found = platforms.of(here).certificates()
    render.data([one.row() for one in found], output, columns=COLUMNS)
    if certificates.worst(found) in ("expiring", "expired"):
        faults, warnings = certificates.judge(found)
        raise ObjectiveMissed(
            f"Certificates of deployment {here.name!r} have expired or are about to.",
            why=" ".join(f"{reason}." for reason in [*faults, *warnings]),
            todo="Run cortexctl certificate renew.",
        )


@app.command()
def renew(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not due.")] = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Renew the certificates that are due, and have them taken up by all that runs, without a restart."""
    from cortexctl import lifecycle  # noqa: PLC0415

    renewed = lifecycle.renew(context.obj, everything=everything, dry_run=dry_run)
    if not renewed:
        render.note("Nothing to do: no certificate is due.")
    if renewed or output is not Output.TABLE:
        render.data([one.row() for one in renewed], output, columns=COLUMNS)
