"""cortexctl drill."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption
from cortexctl.render import Output

app = typer.Typer(help="Disaster-recovery drills.", no_args_is_help=True)


@app.command("list")
def list_(*, output: OutputOption = Output.TABLE) -> None:
    """List the drills there are."""
    from cortexctl.drill import scenario, telling  # noqa: PLC0415 - --help must be quick

    render.data([telling.scenario(one) for one in scenario.load_all()], output)


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The drill: see drill list.", show_default=False)],
    *,
    region: Annotated[
        str | None, typer.Option("--region", help="The region to end, instead of the default.")
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="The node to end, instead of the default.")
    ] = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a drill: end something, measure the recovery and the loss, and bring it back."""
    from cortexctl import access, deployment, locking, platforms  # noqa: PLC0415
    from cortexctl.drill import runner, scenario, signals, targets, telling  # noqa: PLC0415

    wanted = scenario.load(name)
    here = deployment.load(context.obj)
    target = targets.check(here, wanted, region, node)
    if dry_run:
        render.data(telling.plan(wanted, target), output)
        return
    with access.explained(here), signals.interruptible(), locking.lock(here.name, f"drill run {name}"):
        report = runner.run(here, platforms.of(here), wanted, target, render.note)
    render.data(telling.report(report, full=output is not Output.TABLE), output)
    telling.verdict(report)


@app.command()
def report(
    context: typer.Context,
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="The newest unless named.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="List all reports instead.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the report of a drill."""
    from cortexctl import deployment  # noqa: PLC0415
    from cortexctl.drill import report as reports  # noqa: PLC0415
    from cortexctl.drill import telling  # noqa: PLC0415

    here = deployment.load(context.obj)
    if all_:
        found = [reports.read(here, known) for known in reports.ids(here)]
        render.data([telling.line(one) for one in found], output)
        return
    render.data(telling.report(reports.read(here, id_), full=output is not Output.TABLE), output)
