"""cortexctl query."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, Cortex, OutputOption, Tenant, VectorFile
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query")(query)


def query(
    context: typer.Context,
    tenant: Tenant,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What to look for.", show_default=False)
    ] = None,
    *,
    vector: VectorFile = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "-w",
            help="NAME=VALUE that a concept must have, its own or an inherited one; the same name several"
            " times: any of the values.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--results", min=1, max=100, help="How many results.")] = 10,
    hops: Annotated[
        int, typer.Option("--hops", min=0, max=3, help="Steps that activation spreads over relationships.")
    ] = 0,
    decay: Annotated[float, typer.Option("--decay", help="What remains of activation after a step.")] = 0.5,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            min=1,
            max=10_000,
            help="What it may cost, in units of 1,024 steps.",
            show_default="1000",
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Refuse what would cost more, instead of cutting it short.")
    ] = False,
    cortex: Cortex = "main",
    api_key_file: ApiKeyFile = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find a tenant's concepts by text or vector, and what they are related to."""
    from cortexctl import access, concepts, deployment, inputs  # noqa: PLC0415 - --help must be quick

    tenant, cortex = inputs.tenant(tenant), inputs.cortex(cortex)
    wanted = concepts.question(text, k, hops, decay, vector=vector, where=where, budget=budget, exact=exact)
    here = deployment.load(context.obj)
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        answer = concepts.find(client, tenant, cortex, wanted)
    if output is Output.TABLE:
        render.data(concepts.rows(answer), output, columns=("id", "overlap", "activation", "text", "path"))
        if answer.capped:
            render.note("The budget ended the search; there may be better ones. Give a larger --budget.")
    else:
        render.data(render.plain(answer), output)
