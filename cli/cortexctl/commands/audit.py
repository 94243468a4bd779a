"""cortexctl audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import OutputOption
from cortexctl.render import Output

if TYPE_CHECKING:
    from datetime import timedelta

app = typer.Typer(help="The audit log: read, verify, export, prove, forward.", no_args_is_help=True)

COLUMNS = ("time", "tenant", "actor", "action", "resource", "result", "reason", "ip", "request_id", "id")
Log = Annotated[str | None, typer.Option("--tenant", help="Of this tenant; - is what is of no tenant.")]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="The key to trust (PEM).", show_default=False)
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", help="A checkpoint that you kept; may be repeated.", show_default=False),
]


@app.command()
def trail(
    context: typer.Context,
    *,
    tenant: Log = None,
    actor: Annotated[str | None, typer.Option("--actor", help="By this actor alone.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Login, put, query, rotate, ...")] = None,
    result: Annotated[
        str | None, typer.Option("--result", help="With this result alone: done, refused, or refused: CODE.")
    ] = None,
    resource: Annotated[
        str | None, typer.Option("--resource", help="About this alone, or about what is in it.")
    ] = None,
    session: Annotated[str | None, typer.Option("--session", help="Of this session alone.")] = None,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Of this request alone.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="An age (90s, 15m, 1h, 7d) or a time (ISO 8601).")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The same.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="At most so many, the newest.")
    ] = 100,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show who did what, when, from where, and with which result."""
    from datetime import UTC, datetime  # noqa: PLC0415 - --help must be quick

    from cortexctl import access, audit, deployment  # noqa: PLC0415

    now = datetime.now(UTC)
    wanted = audit.Filter(
        tenant=_log(tenant) if tenant else None,
        actor=actor,
        action=action,
        result=result,
        resource=resource,
        session=session,
        request_id=request_id,
        since=audit.since(since, now) if since else None,
        until=audit.since(until, now) if until else None,
        limit=limit,
    )
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(audit.trail(client, wanted)), output, columns=COLUMNS)


@app.command()
def export(
    context: typer.Context,
    *,
    tenant: Log,
    to: Annotated[Path, typer.Option("--to", help="A directory that is not there yet.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a tenant's whole log into a directory, with what proves it."""
    from cortexctl import access, audit, deployment  # noqa: PLC0415

    name = _log(tenant or "")
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        done = audit.export(here, client, name, to)
    for region in done.unreached:
        render.note(f"Region {region} does not answer; its anchors are not in the export.")
    render.data(render.plain(done), output)


@app.command()
def verify(
    context: typer.Context,
    directory: Annotated[Path | None, typer.Argument(help="An export.", show_default=False)] = None,
    *,
    public_key: PublicKey = None,
    checkpoint: Checkpoints = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", help="Check this proof instead.", show_default=False)
    ] = None,
    retention_days: Annotated[
        int, typer.Option("--retention-days", min=1, help="What is older may have no content.")
    ] = 7 * 365,
    output: OutputOption = Output.TABLE,
) -> None:
    """Verify an export or a proof offline; without one of them, every log of the deployment."""
    from datetime import timedelta  # noqa: PLC0415

    from cortexctl import audit, deployment, inputs  # noqa: PLC0415

    retention = timedelta(days=retention_days)
    if directory is None and proof is None:
        _verify_deployment(context, retention, checkpoint or [], output)
        return
    if proof is not None:
        key = inputs.file(public_key) if public_key else audit.public_key(deployment.load(context.obj))
        render.data(render.plain(audit.check(proof, key, checkpoint or [])), output)
        return
    assert directory is not None
    if public_key is None:
        render.note("Checked by the key that the export itself has; --public-key gives one that you trust.")
    key = inputs.file(public_key or directory / "checkpoint-signing.pub")
    render.data(render.plain(audit.verify(directory, key, checkpoint, retention=retention)), output)


@app.command()
def prove(
    context: typer.Context,
    event: Annotated[str | None, typer.Argument(help="An event's id.", show_default=False)] = None,
    *,
    since: Annotated[
        Path | None,
        typer.Option("--since", help="Prove that the log has grown out of this checkpoint's."),
    ] = None,
) -> None:
    """Print what proves that an event is in its log, or that a log only grew, as JSON."""
    from cortexctl import access, audit, deployment, inputs  # noqa: PLC0415

    given = inputs.one_of(event, since, "an event's id", "--since")
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if isinstance(given, str):
            render.data(render.plain(audit.inclusion(client, given)), Output.JSON)
        else:
            render.data(render.plain(audit.consistency(client, given, audit.public_key(here))), Output.JSON)


@app.command()
def forward(
    context: typer.Context,
    *,
    config: Annotated[Path, typer.Option("--config", help="The file that names the sinks (YAML).")],
    follow: Annotated[
        bool, typer.Option("--follow/--once", help="Go on for ever, or end when all there is was sent.")
    ] = False,
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Seconds after which --once gives up a sink.")
    ] = 60.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send events to Splunk, syslog and webhooks, at least once, from where it was left off."""
    from cortexctl import access, deployment  # noqa: PLC0415
    from cortexctl.audit import forwarding  # noqa: PLC0415

    configuration = forwarding.read(config)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        done = forwarding.forward(
            configuration, forwarding.ServiceSource(client), here.name,
            follow=follow, patience=patience, told=render.note,
        )  # fmt: skip
    render.data(render.plain(done), output)


def _verify_deployment(
    context: typer.Context, retention: timedelta, others: list[Path], output: Output
) -> None:
    from cortexctl import access, audit, deployment  # noqa: PLC0415

    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        found = audit.verify_all(here, client, others, retention=retention, told=render.note)
    render.data(render.plain(found), output)


def _log(name: str) -> str:
    from cortexctl import inputs  # noqa: PLC0415

    return name if name == "-" else inputs.tenant(name)
