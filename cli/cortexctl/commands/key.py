"""cortexctl key."""

from __future__ import annotations

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption, Tenant, TenantOption
from cortexctl.render import Output

app = typer.Typer(help="Keys: list and rotate.", no_args_is_help=True)

COLUMNS = ("version", "state", "kek_version", "proven", "concepts", "created_at", "activated_at")


@app.command("list")
def list_(context: typer.Context, tenant: Tenant, *, output: OutputOption = Output.TABLE) -> None:
    """List the versions of a tenant's data key."""
    from cortexctl import access, deployment, inputs, keys  # noqa: PLC0415 - --help must be quick

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(keys.versions(client, tenant)), output, columns=COLUMNS)


@app.command()
def rotate(
    context: typer.Context,
    *,
    tenant: TenantOption,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a new version of a tenant's data key, prove it in every region, and have all new writes use it."""
    from cortexctl import access, deployment, inputs, keys  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if dry_run:
            render.data(keys.preview(client, tenant), output)
            return
        done = keys.rotate(client, keys.region_doors(here), tenant, told=render.note)
    render.data(render.plain(done), output)
