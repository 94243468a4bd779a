"""cortexctl concept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, Cortex, DryRun, OutputOption, Tenant, VectorFile
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortexctl.concepts import Change

app = typer.Typer(help="Concepts: put, get, delete, relate, unrelate.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The concept's id.", show_default=False)]
Source = Annotated[str, typer.Argument(help="The id of the concept it goes from.", show_default=False)]
Type = Annotated[str, typer.Argument(metavar="TYPE", help="The relationship's type.", show_default=False)]
Target = Annotated[str, typer.Argument(help="The id of the concept it goes to.", show_default=False)]


@app.command()
def put(
    context: typer.Context,
    tenant: Tenant,
    id_: Id,
    words: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The concept's text.", show_default=False)
    ] = None,
    *,
    text: Annotated[
        str | None, typer.Option("--text", help="The same, as an option.", show_default=False)
    ] = None,
    vector: VectorFile = None,
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            "-p",
            help="NAME=VALUE; JSON values keep their type. null: not inherited.",
            show_default=False,
        ),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option("--parent", help="The id of the concept it inherits from.", show_default=False),
    ] = None,
    relationships: Annotated[
        list[str] | None,
        typer.Option("--relate", "-r", help="TYPE=TARGET[@WEIGHT].", show_default=False),
    ] = None,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Put a concept, by text or vector: allocate it, or update the one with this id."""
    from cortexctl import concepts, inputs  # noqa: PLC0415 - --help must be quick

    change = concepts.put(
        id_, inputs.only_one(words, text, "TEXT", "--text"), properties or [], relationships or [],
        parent=parent, vector=vector,
    )  # fmt: skip
    _apply(context, tenant, cortex, change, api_key_file=api_key_file, dry_run=dry_run, output=output)


@app.command()
def get(
    context: typer.Context,
    tenant: Tenant,
    id_: Id,
    *,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a concept: what it has, and from which ancestor."""
    from cortexctl import access, concepts, deployment, inputs  # noqa: PLC0415

    tenant, cortex, id_ = inputs.tenant(tenant), inputs.cortex(cortex), inputs.concept(id_)
    here = deployment.load(context.obj)
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        concept = concepts.get(client, tenant, cortex, id_)
    render.data(concepts.shown(concept) if output is Output.TABLE else render.plain(concept), output)


@app.command()
def delete(
    context: typer.Context,
    tenant: Tenant,
    id_: Id,
    *,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a concept with the relationships from and to it."""
    from cortexctl import concepts  # noqa: PLC0415

    _apply(
        context,
        tenant,
        cortex,
        concepts.delete(id_),
        api_key_file=api_key_file,
        dry_run=dry_run,
        output=output,
    )


@app.command()
def relate(
    context: typer.Context,
    tenant: Tenant,
    source: Source,
    type_: Type,
    target: Target,
    *,
    weight: Annotated[float, typer.Option("--weight", help="More than 0, up to 1.")] = 1.0,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Add a relationship between two concepts, or set its weight."""
    from cortexctl import concepts  # noqa: PLC0415

    change = concepts.relate(source, type_, target, weight)
    _apply(context, tenant, cortex, change, api_key_file=api_key_file, dry_run=dry_run, output=output)


@app.command()
def unrelate(
    context: typer.Context,
    tenant: Tenant,
    source: Source,
    type_: Type,
    target: Target,
    *,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove a relationship between two concepts."""
    from cortexctl import concepts  # noqa: PLC0415

    _apply(
        context,
        tenant,
        cortex,
        concepts.unrelate(source, type_, target),
        api_key_file=api_key_file,
        dry_run=dry_run,
        output=output,
    )


def _apply(
    context: typer.Context,
    tenant: str,
    cortex: str,
    change: Change,
    *,
    api_key_file: Path | None,
    dry_run: bool,
    output: Output,
) -> None:
    from cortexctl import access, concepts, deployment, inputs  # noqa: PLC0415

    tenant, cortex = inputs.tenant(tenant), inputs.cortex(cortex)
    here = deployment.load(context.obj)
    if dry_run:
        render.data(concepts.preview(tenant, cortex, change), output)
        return
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        answer = concepts.apply(client, tenant, cortex, change)
    if output is Output.TABLE:
        render.data(render.plain(answer.results), output)
    else:
        render.data(render.plain(answer), output)
