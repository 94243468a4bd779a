"""cortexctl tenant."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, Cortex, DryRun, OutputOption, Tenant
from cortexctl.render import Output

app = typer.Typer(help="Tenants: onboard, import, list, tokens and API keys.", no_args_is_help=True)

COLUMNS = ("tenant", "tier", "state", "concepts", "key_version", "created_at")
NoSave = Annotated[bool, typer.Option("--no-save", help="Do not keep the API key in the credentials file.")]


class Tier(StrEnum):
    """What a tenant may use."""

    FREE = "free"
    STANDARD = "standard"
    ENTERPRISE = "enterprise"


@app.command()
def onboard(
    context: typer.Context,
    tenant: Tenant,
    *,
    tier: Annotated[Tier, typer.Option("--tier", help="What the tenant may use.")] = Tier.STANDARD,
    no_save: NoSave = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a tenant with its keys, or say that it exists. Its API key is shown once."""
    from cortexctl import access, credentials, deployment, inputs, locking, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if dry_run:
            render.data(render.plain(tenants.preview(here, client, tenant)), output)
            return
        with locking.lock(here.name, f"tenant onboard {tenant}"):
            change = tenants.add_tenant(here, tenant)
            done = tenants.onboard(client, tenant, tier.value, change.generation)
            saved = credentials.save(here, tenant, done.api_key) if done.api_key and not no_save else None
    shown = {**render.plain(done.tenant), "created": done.created, "api_key": done.api_key}
    render.data({**shown, "saved": saved and str(saved)}, output)
    if not done.created and credentials.saved(here, tenant) is None:
        render.note(f"Its API key is not kept here; cortexctl tenant api-key {tenant} makes another.")


@app.command("list")
def list_(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """List the tenants."""
    from cortexctl import access, deployment, tenants  # noqa: PLC0415

    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(tenants.show_all(client)), output, columns=COLUMNS)


@app.command()
def show(context: typer.Context, tenant: Tenant, *, output: OutputOption = Output.TABLE) -> None:
    """Show a tenant."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(tenants.show(client, tenant)), output)


@app.command()
def token(
    context: typer.Context,
    tenant: Tenant,
    *,
    api_key_file: ApiKeyFile = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print a short-lived token of a tenant, for scripts: curl -H "Authorization: Bearer $(...)"."""
    from cortexctl import access, credentials, deployment, inputs  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    key = credentials.api_key(here, tenant, file=api_key_file)
    with access.explained(here), access.open_client(here) as client:
        answer = access.log_in(client, tenant, key)
    if output is Output.TABLE:
        typer.echo(answer.token)
    else:
        render.data(render.plain(answer), output)


@app.command("api-key")
def api_key(
    context: typer.Context, tenant: Tenant, *, no_save: NoSave = False, output: OutputOption = Output.TABLE
) -> None:
    """Make a further API key of a tenant, as an operator. It is shown once; the others stay good."""
    from cortexctl import access, credentials, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        key = tenants.further_api_key(client, tenant)
    saved = None if no_save else str(credentials.save(here, tenant, key))
    render.data({"tenant": tenant, "api_key": key, "saved": saved}, output)


@app.command("import")
def import_(
    context: typer.Context,
    tenant: Tenant,
    file: Annotated[str, typer.Argument(help="JSON lines; - is standard input.", show_default=False)],
    *,
    cortex: Cortex = "main",
    batch: Annotated[
        int | None, typer.Option("--batch", help="Concepts a batch, 1 to 1000.", show_default="500")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again instead of continuing an interrupted import.")
    ] = False,
    patience: Annotated[
        float, typer.Option("--patience", min=1, help="Seconds a batch is tried before it counts as failed.")
    ] = 120.0,
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Import concepts with their relationships, exactly once. Repeat it to continue an interrupted one."""
    from cortexctl import access, deployment, importing, inputs  # noqa: PLC0415

    tenant, cortex = inputs.tenant(tenant), inputs.cortex(cortex)
    here = deployment.load(context.obj)
    if dry_run:
        render.data(render.plain(importing.check(file)), output)
        return
    with access.explained(here):
        summary = importing.import_file(
            here, lambda: access.tenant(here, tenant, key_file=api_key_file), tenant, cortex, file,
            batch=batch, restart=restart, patience=patience,
        )  # fmt: skip
    render.data(render.plain(summary), output)
