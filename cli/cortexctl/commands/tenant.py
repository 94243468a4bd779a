"""cortexctl tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import ApiKeyFile, Cortex, DryRun, OutputOption, Tenant, Yes
from cortexctl.render import Output

app = typer.Typer(
    help="Tenants: onboard, quota, suspend, resume, import, list, tokens.", no_args_is_help=True
)

COLUMNS = ("tenant", "tier", "state", "concepts", "key_version", "created_at")
Concepts = Annotated[int | None, typer.Option("--concepts", help="At most so many concepts.")]
Columns = Annotated[int | None, typer.Option("--columns", help="At most so many columns.")]
Storage = Annotated[int | None, typer.Option("--storage", help="At most so many bytes of entries.")]
Requests = Annotated[int | None, typer.Option("--requests", help="At most so many requests a second.")]
NoSave = Annotated[bool, typer.Option("--no-save", help="Do not keep the API key in the credentials file.")]


@app.command()
def onboard(
    context: typer.Context,
    tenant: Tenant,
    *,
    tier: Annotated[str, typer.Option("--tier", help="free, standard or enterprise.")] = "standard",
    concepts: Concepts = None,
    columns: Columns = None,
    storage: Storage = None,
    requests: Requests = None,
    no_save: NoSave = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a tenant with its keys, or say that it exists. Its API key is shown once."""
    from cortexctl import access, credentials, deployment, inputs, locking, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    quota = tenants.quota_of(tier, tenants.QuotaWish(concepts, columns, storage, requests))
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        if dry_run:
            render.data(render.plain(tenants.preview(here, client, tenant)), output)
            return
        with locking.lock(here.name, f"tenant onboard {tenant}"):
            change = tenants.keeper_of(here).add_tenant(here, tenant)
            done = tenants.onboard(client, tenant, tier, quota, change.generation)
            saved = credentials.save(here, tenant, done.api_key) if done.api_key and not no_save else None
    shown = {**_flat(done.tenant), "created": done.created, "api_key": done.api_key}
    render.data({**shown, "saved": saved and str(saved)}, output)
    if not done.created and credentials.saved(here, tenant) is None:
        render.note(f"Its API key is not kept here; cortexctl api-key make {tenant} makes another.")


@app.command("list")
def list_(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """List the tenants."""
    from cortexctl import access, deployment, tenants  # noqa: PLC0415

    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data([_flat(one) for one in tenants.show_all(client)], output, columns=COLUMNS)


@app.command()
def show(context: typer.Context, tenant: Tenant, *, output: OutputOption = Output.TABLE) -> None:
    """Show a tenant."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        render.data(_flat(tenants.show(client, tenant)), output)


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


@app.command()
def quota(
    context: typer.Context,
    tenant: Tenant,
    *,
    tier: Annotated[str | None, typer.Option("--tier", help="Take this tier and its quota.")] = None,
    concepts: Concepts = None,
    columns: Columns = None,
    storage: Storage = None,
    requests: Requests = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give a tenant another tier, or a quota of its own. What it has beyond stays; no more can come."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    wish = tenants.QuotaWish(concepts, columns, storage, requests)
    with access.explained(here), access.operator(here) as client:
        known = tenants.show(client, tenant)
        wanted = tenants.quota_of(tier, wish) if tier else tenants.with_wish(known.quota, wish)
        if dry_run:
            render.data({"tenant": tenant, "tier": tier or known.tier, **render.plain(wanted)}, output)
            return
        render.data(_flat(tenants.set_quota(client, tenant, tier or known.tier, wanted)), output)


@app.command()
def suspend(
    context: typer.Context, tenant: Tenant, *, yes: Yes = False, dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:  # fmt: skip
    """Shut a tenant out: its tokens are refused within seconds, nobody logs in. Its data stay."""
    _switch(context, tenant, "suspend", yes=yes, dry_run=dry_run, output=output)


@app.command()
def resume(
    context: typer.Context, tenant: Tenant, *, dry_run: DryRun = False, output: OutputOption = Output.TABLE
) -> None:
    """Let a suspended tenant in again. Tokens from before stay refused."""
    _switch(context, tenant, "resume", yes=True, dry_run=dry_run, output=output)


@app.command("identity-provider")
def identity_provider(
    context: typer.Context,
    tenant: Tenant,
    *,
    issuer: Annotated[str | None, typer.Option("--issuer", help="The provider's issuer: https://...")] = None,
    client_id: Annotated[str, typer.Option("--client-id", help="Our client there.")] = "cortexkg",
    role_claim: Annotated[str, typer.Option("--role-claim", help="The claim that gives roles.")] = "groups",
    role: Annotated[
        list[str] | None, typer.Option("--role", help="VALUE=ROLE, in order: who has VALUE gets ROLE.")
    ] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM of the CA of its certificate.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Have none any more.")] = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say where a tenant's people log in by OpenID Connect (cortexctl login)."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415
    from cortexctl.errors import UsageError  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    if remove == (issuer is not None):
        raise UsageError("Give either --issuer or --remove.", todo="See --help.")
    wanted = None if issuer is None else tenants.described(issuer, client_id, role_claim, role or [], ca)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        tenants.show(client, tenant)
        if not dry_run and wanted is not None:
            tenants.set_identity_provider(client, tenant, wanted)
        elif not dry_run:
            tenants.remove_identity_provider(client, tenant)
    render.data(
        {"tenant": tenant, **(render.plain(wanted) if wanted else {"identity_provider": None})}, output
    )


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


def _switch(
    context: typer.Context, tenant: str, verb: str, *, yes: bool, dry_run: bool, output: Output
) -> None:
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        known = tenants.show(client, tenant)
        if dry_run:
            render.note(f"Would {verb} tenant {tenant!r}, which is {known.state}.")
            return
        asking.confirm(f"{verb.capitalize()} tenant {tenant!r}?", yes=yes)
        render.data(
            _flat({"suspend": tenants.suspend, "resume": tenants.resume}[verb](client, tenant)), output
        )


def _flat(tenant: Any) -> dict[str, Any]:
    """Return a tenant with its usage beside its quota, as one row."""
    shown = render.plain(tenant)
    usage, quota = shown.pop("usage"), shown.pop("quota")
    return {**shown, **usage, **{f"{name}_quota": value for name, value in quota.items()}}
