"""cortexctl compliance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import DryRun, OutputOption, Yes
from cortexctl.render import Output

app = typer.Typer(help="Compliance: evidence by control, and reviews of access.", no_args_is_help=True)

COLUMNS = ("id", "outcome", "criteria", "title", "reason")


@app.command()
def report(
    context: typer.Context,
    *,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Where report.json, signed, and report.html go.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check all controls of policies/compliance.yaml. Exits with 3 when one has failed."""
    from cortexctl import access, compliance, deployment, platforms  # noqa: PLC0415 - --help must be quick

    here = deployment.load(context.obj)
    with access.explained(here):
        found = compliance.make(here, platforms.of(here))
    if to is not None:
        for what, path in compliance.write(here, found, compliance.render_page(found), to).items():
            render.note(f"The {what} is {path}.")
    document = render.plain(found)
    if output is Output.TABLE:
        render.data(document["controls"], output, columns=COLUMNS)
    else:
        render.data(document, output)
    compliance.verdict(found)


@app.command()
def review(
    context: typer.Context,
    *,
    by: Annotated[str, typer.Option("--by", help="Who has reviewed it.", show_default=False)],
    yes: Yes = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show who has access, and record, signed, that somebody has reviewed it."""
    from cortexctl import access, compliance, deployment, inputs, platforms  # noqa: PLC0415

    name = inputs.person(by)
    here = deployment.load(context.obj)
    with access.explained(here), compliance.Source(here, platforms.of(here)) as source:
        seen = compliance.seen(source)
    shown = output if output is not Output.TABLE else Output.YAML
    if dry_run:
        render.data(render.plain(seen), shown)
        return
    if not yes:
        render.note(render.text(render.plain(seen)))
    asking.confirm(f"Has {name} reviewed this, and is it as it should be?", yes=yes)
    done, path = compliance.record(here, seen, name)
    render.data({**render.plain(done), "statement": str(path)}, shown)
