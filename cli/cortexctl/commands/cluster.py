"""cortexctl cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption
from cortexctl.render import Output

if TYPE_CHECKING:
    from cortexctl.platforms.kubernetes.api import Cluster

app = typer.Typer(help="A region on Kubernetes: install, wait, scale, drain, look.", no_args_is_help=True)

Seconds = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait at most.")]
Name = Annotated[str, typer.Argument(help="Its name.", show_default=False)]


class Kind(StrEnum):
    """What is rolled out and scaled."""

    STATEFULSET = "statefulset"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class _Where:
    namespace: str
    kubeconfig: Path | None
    context: str | None


@app.callback()
def _where(
    context: typer.Context,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")] = "default",
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="Instead of KUBECONFIG.", show_default=False)
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--context", help="The kubeconfig's context.", show_default=False)
    ] = None,
) -> None:
    context.obj = _Where(namespace, kubeconfig, cluster)


@app.command()
def install(
    context: typer.Context,
    release: Name,
    *,
    chart: Annotated[Path, typer.Option("--chart", exists=True, help="The chart: runtime/helm-chart.")],
    values: Annotated[
        list[Path], typer.Option("--values", "-f", exists=True, help="A value file; may be repeated.")
    ],
    timeout: Seconds = 600,
    dry_run: DryRun = False,
) -> None:
    """Install a region, or bring it to these values; what is not ready in time is undone."""
    from cortexctl.platforms.kubernetes import helm  # noqa: PLC0415 - --help must be quick

    where = context.obj
    wanted = helm.Release(release, where.namespace, where.kubeconfig, where.context)
    render.note(helm.install(wanted, chart, values, seconds=timeout, dry_run=dry_run).rstrip())


@app.command()
def rollout(
    context: typer.Context,
    kind: Kind,
    name: Name,
    *,
    timeout: Seconds = 600,
    output: OutputOption = Output.TABLE,
) -> None:
    """Wait until all pods are new and ready. Exits with 3, and what pods say, when they are not in time."""
    from cortexctl.platforms.kubernetes import rollout as rollouts  # noqa: PLC0415

    done = rollouts.wait(_cluster(context), kind.value, name, seconds=timeout, told=render.note)
    render.data(render.plain(done), output)


@app.command()
def scale(
    context: typer.Context,
    kind: Kind,
    name: Name,
    count: Annotated[int, typer.Argument(min=0, max=100, help="How many pods.")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Have so many pods."""
    from cortexctl.platforms.kubernetes import rollout as rollouts  # noqa: PLC0415

    render.data(render.plain(rollouts.scale(_cluster(context), kind.value, name, count)), output)


@app.command()
def drain(
    context: typer.Context, machine: Name, *, timeout: Seconds = 600, output: OutputOption = Output.TABLE
) -> None:
    """Empty a machine of the cluster, as fast as disruption budgets let it."""
    from cortexctl.platforms.kubernetes import draining  # noqa: PLC0415

    gone = draining.drain(_cluster(context), machine, seconds=timeout, told=render.note)
    render.data([{"pod": each} for each in gone], output, columns=("pod",))


@app.command()
def events(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """Show what happened in the namespace, oldest first."""
    from cortexctl.platforms.kubernetes import looking  # noqa: PLC0415

    columns = ("time", "type", "about", "reason", "message", "count")
    render.data(render.plain(looking.events(_cluster(context))), output, columns=columns)


@app.command()
def leases(context: typer.Context, *, output: OutputOption = Output.TABLE) -> None:
    """Show who holds which lease of the namespace."""
    from cortexctl.platforms.kubernetes import looking  # noqa: PLC0415

    columns = ("name", "holder", "renewed", "seconds", "changes")
    render.data(render.plain(looking.leases(_cluster(context))), output, columns=columns)


def _cluster(context: typer.Context) -> Cluster:
    from cortexctl.platforms.kubernetes import api  # noqa: PLC0415

    where = context.obj
    return api.connect(where.namespace, kubeconfig=where.kubeconfig, context=where.context)
