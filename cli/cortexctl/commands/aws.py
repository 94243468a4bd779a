"""cortexctl aws: what is done to a deployment on AWS between two runs of Terraform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import OutputOption, Yes
from cortexctl.errors import ObjectiveMissed, Refused
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortexctl.platforms.aws import AwsPlatform

app = typer.Typer(
    help="A deployment on AWS: Kubernetes, machines, traffic, checks, backups.", no_args_is_help=True
)

RegionOption = Annotated[str, typer.Option("--region", help="The AWS region.", show_default=False)]


@app.command()
def kubeconfig(context: typer.Context, *, region: RegionOption) -> None:
    """Print a kubeconfig for a region: kubectl then asks cortexctl for its tokens."""
    platform, region = _platform(context.obj, region)
    render.data(platform.kubeconfig(region), Output.YAML)


@app.command()
def token(context: typer.Context, *, region: RegionOption) -> None:
    """Print a token for a region's Kubernetes, as a kubeconfig's exec wants it."""
    platform, region = _platform(context.obj, region)
    render.data(platform.token(region), Output.JSON)


@app.command()
def machines(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """List the machines of the regions' Kubernetes."""
    platform, _ = _platform(context.obj)
    rows = [render.plain(each) for each in platform.every_machine()]
    render.data(rows, output, columns=("region", "status", "least", "wanted", "most"))


@app.command()
def scale(
    context: typer.Context,
    *,
    region: RegionOption,
    count: Annotated[int, typer.Option("--machines", help="How many are wanted.", show_default=False)],
    output: OutputOption = Output.TABLE,
) -> None:
    """Want so many machines in a region, within the bounds of its settings."""
    platform, region = _platform(context.obj, region)
    render.data(render.plain(platform.scale(region, count)), output)


@app.command()
def traffic(
    context: typer.Context,
    *,
    region: RegionOption,
    percent: Annotated[int, typer.Option("--percent", help="0 takes the region out.", show_default=False)],
    yes: Yes = False,
) -> None:
    """Give a region a share of the traffic that is nearest to it; the rest goes to other regions."""
    platform, region = _platform(context.obj, region)
    asking.confirm(f"Give {region} {percent} % of its traffic?", yes=yes)
    platform.shift_traffic(region, percent)
    render.note(f"{region} gets {percent} % of its traffic.")


@app.command()
def check(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """Look at keys and buckets in AWS itself. Exits with 3 when one is not as it must be."""
    platform, _ = _platform(context.obj)
    found = platform.checks()
    render.data([render.plain(each) for each in found], output, columns=("region", "what", "fault"))
    if faults := [each for each in found if each.fault]:
        raise ObjectiveMissed(
            f"{len(faults)} of {len(found)} keys and buckets are not as they must be.",
            why=" ".join(f"{each.what} in {each.region}: {each.fault}." for each in faults[:3]),
            todo="Run cortexctl drift, then cortexctl up.",
        )


@app.command()
def restores(
    context: typer.Context,
    *,
    max_age_days: Annotated[
        int, typer.Option("--max-age-days", min=1, max=366, help="How long ago the last test may be.")
    ] = 8,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say how the last tests of the backups went. Exits with 3 when one failed, or is missing or too old."""
    platform, _ = _platform(context.obj)
    found = platform.restores(datetime.now(UTC) - timedelta(days=max_age_days))
    columns = (
        "region", "what", "fault", "when", "state", "rto_seconds", "rpo_seconds", "validation",
        "recovery_point",
    )  # fmt: skip
    render.data([render.plain(each) for each in found], output, columns=columns)
    if faults := [each for each in found if each.fault]:
        raise ObjectiveMissed(
            f"{len(faults)} of {len(found)} backups were not restored as they must be.",
            why=" ".join(f"{each.what} in {each.region}: {each.fault}." for each in faults[:3]),
            todo="Look at the restore jobs in AWS Backup; cortexctl drift says whether their plan is there.",
        )


def _platform(name: str, region: str = "") -> tuple[AwsPlatform, str]:
    """Return the platform of a deployment on AWS, and a region of it. Raises Refused, UsageError."""
    from cortexctl import deployment  # noqa: PLC0415 - --help must be quick
    from cortexctl.platforms.aws import AwsPlatform  # noqa: PLC0415

    found = deployment.load(name)
    if found.aws is None:
        raise Refused(f"Deployment {name!r} is not on AWS.", todo="Name another --deployment.")
    return AwsPlatform(found), found.region(region).name if region else ""
