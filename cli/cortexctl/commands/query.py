"""cortexctl query."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, Cortex, OutputOption, Tenant
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query")(query)


def query(
    context: typer.Context,
    tenant: Tenant,
    text: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    *,
    k: Annotated[int, typer.Option("-k", "--results", min=1, max=100, help="How many results.")] = 10,
    hops: Annotated[
        int, typer.Option("--hops", min=0, max=3, help="Steps that activation spreads over relationships.")
    ] = 0,
    decay: Annotated[float, typer.Option("--decay", help="What remains of activation after a step.")] = 0.5,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find a tenant's concepts by text, and what they are related to."""
    from cortexctl import access, concepts, deployment, inputs  # noqa: PLC0415 - --help must be quick

    tenant, cortex = inputs.tenant(tenant), inputs.cortex(cortex)
    wanted = concepts.question(text, k, hops, decay)
    here = deployment.load(context.obj)
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        answer = concepts.find(client, tenant, cortex, wanted)
    if output is Output.TABLE:
        render.data(concepts.rows(answer), output, columns=("id", "overlap", "activation", "text", "path"))
    else:
        render.data(render.plain(answer), output)
