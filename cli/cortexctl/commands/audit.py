"""cortexctl audit."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import OutputOption
from cortexctl.render import Output

app = typer.Typer(help="The audit log.", no_args_is_help=True)

COLUMNS = ("time", "tenant", "actor", "action", "resource", "result", "reason", "ip", "request_id")


@app.callback()
def _group() -> None:
    """Keep trail a command of its own beside those to come."""


@app.command()
def trail(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of this tenant alone.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="By this actor alone.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Login, put, query, rotate, ...")] = None,
    result: Annotated[
        str | None, typer.Option("--result", help="With this result alone: done, refused, or refused: CODE.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="An age (90s, 15m, 1h, 7d) or a time (ISO 8601).")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="At most so many, the newest.")
    ] = 100,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show who did what, when, from where, and with which result."""
    from datetime import UTC, datetime  # noqa: PLC0415 - --help must be quick

    from cortexctl import access, audit, deployment, inputs  # noqa: PLC0415

    wanted = audit.Filter(
        tenant=inputs.tenant(tenant) if tenant else None,
        actor=actor,
        action=action,
        result=result,
        since=audit.since(since, datetime.now(UTC)) if since else None,
        limit=limit,
    )
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(audit.trail(client, wanted)), output, columns=COLUMNS)
