"""cortexctl tenant export, erase, legal-hold, offboard: what a tenant takes out, and how it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import ApiKeyFile, DryRun, OutputOption, Tenant, Yes
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the commands to those of tenants."""
    for command in (export, erase, legal_hold, offboard):
        app.command(command.__name__.replace("_", "-"))(command)


def export(
    context: typer.Context,
    tenant: Tenant,
    *,
    to: Annotated[Path, typer.Option("--to", help="The directory to write to.", show_default=False)],
    api_key_file: ApiKeyFile = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write all of a tenant's concepts as JSON lines, a file each cortex (GDPR, articles 15 and 20)."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415 - --help must be quick

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        if dry_run:
            render.data(render.plain(tenants.cortices(client, tenant)), output)
            return
        render.data(render.plain(tenants.export(client, tenant, to, told=render.note)), output)


def erase(
    context: typer.Context,
    tenant: Tenant,
    *,
    subject: Annotated[str, typer.Option("--subject", help="Whose concepts.", show_default=False)],
    property_: Annotated[
        str, typer.Option("--property", help="The property that names the subject.")
    ] = "subject",
    api_key_file: ApiKeyFile = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Erase the concepts of one subject for good; tombstones without content stay (GDPR, article 17)."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.tenant(here, tenant, key_file=api_key_file) as client:
        if dry_run:
            render.note(f"Would erase, in these cortices, all concepts whose {property_} is {subject!r}.")
            render.data(render.plain(tenants.cortices(client, tenant)), output)
            return
        asking.confirm(f"Erase all concepts of tenant {tenant!r} whose {property_} is {subject!r}?", yes=yes)
        render.data(render.plain(tenants.erase(client, tenant, subject, property_)), output)


def legal_hold(
    context: typer.Context,
    tenant: Tenant,
    *,
    release: Annotated[bool, typer.Option("--release", help="Hold them no more.")] = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Hold a tenant's data against their destruction: offboarding is refused then."""
    from cortexctl import access, deployment, inputs, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        shown = tenants.show(client, tenant)
        if not dry_run:
            shown = tenants.set_legal_hold(client, tenant, held=not release)
    render.data({"tenant": tenant, "state": shown.state, "legal_hold": shown.legal_hold}, output)


def offboard(
    context: typer.Context, tenant: Tenant, *, yes: Yes = False, dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:  # fmt: skip
    """Let a tenant leave for good: destroy its keys everywhere, remove its data, give a signed receipt."""
    from cortexctl import access, deployment, evidence, inputs, locking, tenants  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        known = tenants.show(client, tenant)
        if dry_run:
            held = " It is under legal hold: this would be refused." if known.legal_hold else ""
            render.note(f"Would destroy all keys and {known.usage.concepts} concepts of {tenant!r}.{held}")
            return
        asking.confirm(
            f"Destroy all keys and data of tenant {tenant!r} ({known.usage.concepts} concepts) for good?",
            yes=yes,
        )
        with locking.lock(here.name, f"tenant offboard {tenant}"):
            receipt, kept = tenants.offboard(here, client, tenant, told=render.note)
    shown = {**render.plain(receipt), "proof": receipt.proof.event, "receipt": str(kept)}
    shown |= {name: str(path) for name, path in evidence.key_paths(here).items()}
    render.data(shown, output if output is not Output.TABLE else Output.YAML)
