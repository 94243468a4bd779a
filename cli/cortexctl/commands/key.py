"""cortexctl key list, ledger, retire, verify; the others are in key_rotation and key_upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking, key_rotation, key_upkeep
from cortexctl.commands.options import DryRun, OutputOption, TenantOption, Yes
from cortexctl.errors import ObjectiveMissed
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortex_runtime.client import Client

app = typer.Typer(
    help="Keys: list, rotate, what needs them, verify, retire, schedule, seal.", no_args_is_help=True
)

COLUMNS = ("version", "state", "kek_version", "proven", "concepts", "created_at", "activated_at")
OWN_COLUMNS = ("kind", "id", "state", "days", "until")
OptionalTenant = Annotated[str | None, typer.Argument(help="The tenant's name.", show_default=False)]
OneOrAll = Annotated[
    str | None, typer.Option("--tenant", help="One tenant instead of all.", show_default=False)
]


@app.command("list")
def list_(
    context: typer.Context, tenant: OptionalTenant = None, *, output: OutputOption = Output.TABLE
) -> None:
    """List the versions of a tenant's data key; without a tenant, the deployment's own keys."""
    from cortexctl import access, deployment, inputs, keys  # noqa: PLC0415 - --help must be quick

    here = deployment.load(context.obj)
    if tenant is None:
        render.data(render.plain(keys.own_keys(here)), output, columns=OWN_COLUMNS)
        return
    tenant = inputs.tenant(tenant)
    with access.explained(here), access.operator(here) as client:
        render.data(render.plain(keys.versions(client, tenant)), output, columns=COLUMNS)


@app.command()
def ledger(context: typer.Context, *, tenant: OneOrAll = None, output: OutputOption = Output.TABLE) -> None:
    """Show what needs each version of a data key: rows by table, snapshots, backups that are kept."""
    from cortexctl import access, deployment, keys  # noqa: PLC0415

    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        found = [entry for name in _names(client, tenant) for entry in keys.ledger(client, name)]
    render.data(render.plain(found), output, columns=("tenant", "version", "state", "part", "uses"))


@app.command()
def retire(
    context: typer.Context,
    *,
    tenant: TenantOption,
    version: Annotated[int | None, typer.Option("--version", help="This one alone.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Destroy versions of a data key that nothing needs. Exits with 5, and says what needs the others."""
    from cortexctl import access, deployment, inputs, keys, locking  # noqa: PLC0415

    tenant, columns = inputs.tenant(tenant), ("tenant", "version", "state", "needed")
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        found = keys.preview_retirement(client, tenant, version)
        if found and not dry_run:
            names = ", ".join(str(each.version) for each in found)
            asking.confirm(f"Destroy for good what nothing needs of versions {names} of {tenant!r}?", yes=yes)
            with locking.lock(here.name, f"key retire --tenant {tenant}"):
                found = keys.retire(client, tenant, version)
    if not found:
        render.note(f"{tenant} has no older version of its key: nothing to retire.")
    render.data(render.plain(found), output, columns=columns)


@app.command()
def verify(context: typer.Context, *, tenant: OneOrAll = None, output: OutputOption = Output.TABLE) -> None:
    """Open a sample of what each version seals, in every region. Exits with 3 when anything does not open."""
    from cortexctl import access, deployment, keys  # noqa: PLC0415

    here = deployment.load(context.obj)
    rows, wrong = [], []
    with access.explained(here), access.operator(here) as client:
        for name in _names(client, tenant):
            found, troubles = keys.verify(access.region_doors(here), name)
            rows += [{"tenant": name, **render.plain(each)} for each in found]
            wrong += troubles
    render.data(
        rows, output, columns=("tenant", "region", "version", "state", "check_value", "tried", "opened")
    )
    if wrong:
        raise ObjectiveMissed(
            "Not everything opens.", why=f"{'; '.join(wrong)}.",
            todo="Where all rows of a version stay shut, give that region its keyring (cortexctl up); a row"
            " alone is damaged: put the concept again, or restore it from a backup.",
        )  # fmt: skip


def _names(client: Client, tenant: str | None) -> list[str]:
    from cortexctl import inputs, tenants  # noqa: PLC0415

    if tenant is not None:
        return [inputs.tenant(tenant)]
    return [one.tenant for one in tenants.show_all(client) if one.state in ("active", "suspended")]


key_rotation.register(app)
key_upkeep.register(app)
