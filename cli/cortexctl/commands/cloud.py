"""cortexctl plan, drift, unlock, and what up, down and status are for a deployment on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands import asking
from cortexctl.commands.options import OutputOption, Yes
from cortexctl.errors import ChangesPending, DeploymentNotFound, ObjectiveMissed, Refused, UsageError
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortexctl.deployment import Deployment

PlatformOption = Annotated[
    str | None, typer.Option("--platform", help="local (the default) or aws; a deployment keeps its own.")
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION[=CIDR]", help="An AWS region, the founding one first. On aws."),
]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="What docs/aws.md describes. On aws.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (plan, drift, unlock):
        app.command()(command)


def plan(
    context: typer.Context,
    *,
    profile: Annotated[str | None, typer.Option(help="As up has it.")] = None,
    platform: PlatformOption = None,
    region: RegionsOption = None,
    settings: SettingsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep the plan for up --plan. On aws.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what up would do, and change nothing. Exits with 4 when there is anything to do."""
    from cortexctl import lifecycle  # noqa: PLC0415 - --help must be quick
    from cortexctl.platforms.aws import raising  # noqa: PLC0415

    if on_aws(context.obj, platform):
        found = raising.plan(context.obj, raising.Wish(profile, tuple(region or ()), settings), out)
    else:
        refuse_options({"--region": region, "--settings": settings, "--out": out}, "aws")
        found = lifecycle.preview(context.obj, lifecycle.Wish(profile))
    show_actions(found, output)
    if found := {root: actions for root, actions in found.items() if actions}:
        raise ChangesPending(
            f"Changes are pending in {', '.join(found)}.",
            todo="Run cortexctl up" + (f" --plan {out}." if out else "."),
        )


def drift(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """Say what is not as up has left it, and change nothing. Exits with 4 when there is anything."""
    from cortexctl import deployment, lifecycle  # noqa: PLC0415
    from cortexctl.platforms.aws import raising  # noqa: PLC0415

    deployment.load(context.obj)
    if on_aws(context.obj, None):
        found = raising.drift(context.obj)
    else:
        found = lifecycle.preview(context.obj, lifecycle.Wish())
    show_actions(found, output)
    if found := {root: actions for root, actions in found.items() if actions}:
        raise ChangesPending(
            f"Not all is as cortexctl has left it: {', '.join(found)}.", todo="cortexctl up puts it right."
        )


def unlock(
    context: typer.Context,
    lock_id: Annotated[str, typer.Argument(help="The lock's id, as the message says it.")],
    *,
    yes: Yes = False,
) -> None:
    """Break the lock that a dead run has left on a state. On aws."""
    from cortexctl.platforms.aws import raising  # noqa: PLC0415

    raising.unlock(context.obj, lock_id, confirm=lambda question: asking.confirm(question, yes=yes))
    render.note("The lock is broken. Run cortexctl plan before anything else.")


def on_aws(name: str, platform: str | None) -> bool:
    """Return whether the deployment is, or is to be, on AWS. Raises UsageError, or Refused of a move."""
    from cortexctl import deployment  # noqa: PLC0415

    if platform not in (None, "local", "aws"):
        raise UsageError(f"There is no platform {platform!r}.", todo="Name one of: local, aws.")
    try:
        found = deployment.load(name).platform
    except DeploymentNotFound:
        return platform == "aws"
    if platform not in (None, found):
        raise Refused(f"Deployment {name!r} is on {found}.", todo="Name another --deployment.")
    return found == "aws"


def refuse_options(given: Mapping[str, object], platform: str) -> None:
    """Raise UsageError when options are given that are another platform's."""
    if foreign := [option for option, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(foreign)}: only on platform {platform}.", todo="Leave it out, or give --platform."
        )


def up_on_aws(
    name: str,
    profile: str | None,
    regions: list[str] | None,
    settings: Path | None,
    kept: Path | None,
    *,
    dry_run: bool,
    yes: bool,
    output: Output,
) -> None:
    """Make a deployment on AWS, or put it right, or apply a plan that was kept."""
    from cortexctl.platforms.aws import raising  # noqa: PLC0415
    from cortexctl.progress import Progress  # noqa: PLC0415

    wish = raising.Wish(profile, tuple(regions or ()), settings)
    if dry_run:
        show_actions(raising.plan(name, wish), output)
        return
    with Progress() as progress:
        if kept is not None:
            done = raising.up_as_planned(name, wish, kept, progress)
        else:
            done = raising.up(
                name, wish, confirm=lambda question: asking.confirm(question, yes=yes), progress=progress
            )
    if not done:
        render.note("Nothing was changed: all is as it should be.")
    if done or output is not Output.TABLE:
        show_actions(done, output)


def down_on_aws(name: str, *, yes: bool) -> None:
    """Destroy a deployment on AWS. A production's name must be typed."""
    from cortexctl import deployment  # noqa: PLC0415
    from cortexctl.platforms.aws import raising  # noqa: PLC0415
    from cortexctl.progress import Progress  # noqa: PLC0415

    production = deployment.load(name).profile == "production"

    def confirm(question: str) -> None:
        if production:
            asking.type_name(question, name)
        else:
            asking.confirm(question, yes=yes)

    with Progress() as progress:
        raising.down(name, confirm=confirm, progress=progress)
    render.note(f"Deployment {name!r} is destroyed. Locked backups and audit objects stay until their time.")


def show_on_aws(found: Deployment, output: Output) -> None:
    """Show the regions of a deployment on AWS. Raises ObjectiveMissed when one does not serve."""
    from cortexctl.platforms.aws import AwsPlatform  # noqa: PLC0415

    platform = AwsPlatform(found)
    machines = {each.region: each for each in platform.every_machine()}
    rows = [
        {"name": each.region, "database": each.role, "state": each.state,
         "machines": machines[each.region].wanted, "status": machines[each.region].status}
        for each in platform.database()
    ]  # fmt: skip
    render.data(rows, output, columns=("name", "database", "state", "machines", "status"))
    sick = [row for row in rows if row["database"] == "absent" or row["status"] not in ("ACTIVE", "UPDATING")]
    if sick:
        raise ObjectiveMissed(
            f"Deployment {found.name!r} is not healthy.",
            why=" ".join(
                f"{row['name']}: database {row['database']}, machines {row['status']}." for row in sick
            ),
            todo="Run cortexctl drift, then cortexctl up.",
        )


def show_actions(actions: Mapping[str, Mapping[str, str]], output: Output) -> None:
    """Show what is to be done, or was, one row a resource."""
    rows = [
        {"root": root, "action": action, "what": address}
        for root, found in actions.items()
        for address, action in found.items()
    ]
    if not rows:
        render.note("Nothing to do: all is as it should be.")
    if rows or output is not Output.TABLE:
        render.data(rows, output, columns=("root", "action", "what"))
