"""cortexctl up, down, status, drift."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import DryRun, OutputOption, Yes
from cortexctl.errors import ChangesPending, ObjectiveMissed
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortexctl.health import Health


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, drift):
        app.command()(command)


def up(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="standard (2 nodes a region, the default) or small (1).")
    ] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes a region; of a running deployment, too.")] = None,
    keyring_passphrase_file: Annotated[
        Path | None,
        typer.Option("--keyring-passphrase-file", help="Seal the keyring by the passphrase in this file."),
    ] = None,
    kms: Annotated[
        str | None,
        typer.Option("--kms", metavar="A,B,C", help="Keys in AWS KMS: an AWS region for each region."),
    ] = None,
    aws_credentials_file: Annotated[
        Path | None,
        typer.Option("--aws-credentials-file", help="What the nodes have for AWS KMS, in AWS' form."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a deployment, or put right what there is of it, and wait until it is healthy."""
    from cortexctl import lifecycle  # noqa: PLC0415 - --help must be quick
    from cortexctl.progress import Progress  # noqa: PLC0415

    places = () if kms is None else tuple(kms.split(","))
    wish = lifecycle.Wish(profile, nodes, keyring_passphrase_file, places, aws_credentials_file)
    if dry_run:
        _preview(lifecycle.preview(context.obj, wish), output)
        return
    with Progress() as progress:
        raised = lifecycle.up(
            context.obj, wish, confirm=lambda question: asking.confirm(question, yes=yes), progress=progress
        )
    if not raised.changed:
        render.note("Nothing was changed: all is as it should be.")
    _show(raised.health, output)


def down(
    context: typer.Context,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Also delete its directory: data, keys, certificates, logs.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """End all processes of a deployment. Its data stay, and the next up serves them again."""
    from cortexctl import lifecycle  # noqa: PLC0415
    from cortexctl.progress import Progress  # noqa: PLC0415

    if dry_run:
        living = lifecycle.living(context.obj)
        render.note(f"Would end: {', '.join(living)}." if living else "Nothing of it is alive.")
        if delete_data:
            render.note("Would delete the deployment's directory with all its data and keys.")
        return
    with Progress() as progress:
        found = lifecycle.down(
            context.obj,
            delete_data=delete_data,
            confirm=lambda question: asking.confirm(question, yes=yes),
            progress=progress,
        )
    render.note(
        f"There is no deployment {context.obj!r}: nothing to do." if not found
        else f"Deployment {context.obj!r} is deleted." if delete_data
        else f"Deployment {context.obj!r} is down. Its data are kept: up serves them again, "
        "down --delete-data deletes them."
    )  # fmt: skip


def status(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show how the deployment, its regions and its nodes are. Exits with 3 when it is not healthy."""
    from cortexctl import deployment, health, platforms  # noqa: PLC0415

    found = deployment.load(context.obj)
    result = health.inspect(found, platforms.of(found))
    _show(result, output)
    if not result.healthy:
        raise ObjectiveMissed(
            f"Deployment {found.name!r} is not healthy.",
            why=" ".join(f"{reason}." for reason in result.reasons),
            todo=f"cortexctl up puts it right; the logs are in {found.directory}/regions/*/log.",
        )


def drift(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show what is not as it should be, and what up would do about it. Exits with 4 when there is any."""
    from cortexctl import deployment, lifecycle  # noqa: PLC0415

    found = deployment.load(context.obj)
    rows = _preview(lifecycle.preview(found.name, lifecycle.Wish()), output)
    if rows:
        raise ChangesPending(
            f"{len(rows)} things of deployment {found.name!r} are not as they should be.",
            why="Somebody or something changed them, or ended them, after the last up.",
            todo="cortexctl up puts them right.",
        )


def _preview(actions: dict[str, dict[str, str]], output: Output) -> list[dict[str, str]]:
    rows = [
        {"root": root, "action": action, "what": address}
        for root, found in actions.items()
        for address, action in found.items()
    ]
    if not rows:
        render.note("Nothing to do: all is as it should be.")
    if rows or output is not Output.TABLE:
        render.data(rows, output, columns=("root", "action", "what"))
    return rows


def _show(found: Health, output: Output) -> None:
    document = found.document()
    if output is not Output.TABLE:
        render.data(document, output)
        return
    regions = [{**region, "database": region["database"]["state"]} for region in document["regions"]]
    summary = {
        "deployment": f"{found.deployment} ({found.id}, profile {found.profile})",
        "load balancer": found.load_balancer_url,
        "health": "healthy" if found.healthy else "not healthy",
        "ready replicas": found.ready,
        "durability": found.durability,
    }
    render.data(summary, output)
    for warning in found.warnings:
        render.note(f"Note: {warning}.")
    render.data(regions, output, columns=("name", "role", "status", "database", "load_balancer_url"))
    columns = ("name", "status", "role", "slots", "owned", "lag", "columns", "concepts", "kernels")
    render.data(document["nodes"], output, columns=columns)
