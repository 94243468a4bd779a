"""cortexctl failover."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import OutputOption, Yes
from cortexctl.render import Output

app = typer.Typer(help="A planned, or a forced, switch of the primary region.", no_args_is_help=True)

To = Annotated[str, typer.Option("--to", help="The region that is to hold the primary.", show_default=False)]
AcceptLoss = Annotated[
    bool, typer.Option("--accept-data-loss", help="Force it, although acknowledged writes may be lost.")
]


@app.command()
def plan(
    context: typer.Context,
    *,
    to: To,
    accept_data_loss: AcceptLoss = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what a switch would do, and what it would lose."""
    from cortexctl import deployment, failover, platforms  # noqa: PLC0415 - --help must be quick

    here = deployment.load(context.obj)
    region = here.region(to).name
    planned = failover.plan(
        platforms.of(here).database(), region, forced=accept_data_loss, asynchronous=here.aws is not None
    )
    shown = render.plain(planned)
    if output is Output.TABLE:
        shown["steps"] = "\n".join(planned.steps)
    render.data(shown, output)
    failover.demand(planned)


@app.command()
def run(
    context: typer.Context,
    *,
    to: To,
    accept_data_loss: AcceptLoss = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Switch the primary to a region, and wait until writes are acknowledged again."""
    from cortexctl import access, deployment, failover, locking, platforms  # noqa: PLC0415

    here = deployment.load(context.obj)
    platform = platforms.of(here)
    with access.explained(here), locking.lock(here.name, f"failover run --to {to}"):
        planned = failover.plan(
            platform.database(),
            here.region(to).name,
            forced=accept_data_loss,
            asynchronous=here.aws is not None,
        )
        for line in planned.steps:
            render.note(line)
        if planned.forced:
            render.note(f"It would lose {planned.loses}.")
        failover.demand(planned)
        asking.confirm("Go on?", yes=yes or planned.nothing_to_do)
        done = failover.run(here, platform, planned, render.note)
    render.data(render.plain(done), output)
