"""cortexctl api-key."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import DryRun, OutputOption, Tenant, Yes
from cortexctl.render import Output

app = typer.Typer(help="API keys of tenants: make, list, revoke.", no_args_is_help=True)

COLUMNS = ("id", "role", "once", "created_at", "used_at")


@app.command()
def make(
    context: typer.Context,
    tenant: Tenant,
    *,
    role: Annotated[str, typer.Option("--role", help="What it may do: reader, writer or admin.")] = "admin",
    once: Annotated[bool, typer.Option("--once", help="Good for one login; not kept here.")] = False,
    no_save: Annotated[
        bool, typer.Option("--no-save", help="Do not keep it in the credentials file.")
    ] = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a further API key of a tenant, as an operator. It is shown once; the others stay good."""
    from cortexctl import access, credentials, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if dry_run:
            tenants.show(client, tenant)
            render.note(f"Would make an API key of tenant {tenant!r} with role {role}.")
            return
        made = tenants.make_api_key(client, tenant, role=role, once=once)
    saved = None if no_save or once else str(credentials.save(here, tenant, made.api_key))
    render.data({**render.plain(made), "saved": saved}, output)


@app.command("list")
def list_(context: typer.Context, tenant: Tenant, *, output: OutputOption = Output.TABLE) -> None:
    """List a tenant's API keys, without their secrets."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(tenants.api_keys(client, tenant)), output, columns=COLUMNS)


@app.command()
def revoke(
    context: typer.Context,
    tenant: Tenant,
    key: Annotated[
        str, typer.Argument(help="The key's id, the second part of ck_ID_...", show_default=False)
    ],
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take an API key away: it and the tokens got for it are refused within seconds."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415
    from cortexctl.errors import UsageError  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if key not in {known.id for known in tenants.api_keys(client, tenant)}:
            raise UsageError(
                f"Tenant {tenant!r} has no API key {key!r}.", todo=f"See cortexctl api-key list {tenant}."
            )
        if dry_run:
            render.note(f"Would take API key {key} of tenant {tenant!r} away.")
            return
        asking.confirm(f"Take API key {key} of tenant {tenant!r} away?", yes=yes)
        tenants.revoke_api_key(client, tenant, key)
    render.note(f"API key {key} of tenant {tenant!r} is good no more.")
