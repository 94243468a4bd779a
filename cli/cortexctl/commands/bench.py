"""cortexctl bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, DoorCa, DoorUrls, OutputOption, Tenant
from cortexctl.errors import ObjectiveMissed
from cortexctl.render import Output

app = typer.Typer(help="Figures of a deployment beside what is demanded of them.", no_args_is_help=True)


@app.command()
def load(
    context: typer.Context,
    tenant: Tenant,
    *,
    url: DoorUrls = None,
    ca: DoorCa = None,
    api_key_file: ApiKeyFile = None,
    offer: Annotated[
        float, typer.Option("--offer", min=1, max=10_000, help="Requests a second, one write in ten.")
    ] = 50,
    connections: Annotated[int, typer.Option("--connections", min=1, max=64, help="How many ask.")] = 8,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=240, help="How long.")] = 20,
    read_p99: Annotated[float, typer.Option("--read-p99", help="At most so many ms.")] = 250,
    write_p99: Annotated[float, typer.Option("--write-p99", help="At most so many ms.")] = 1000,
    error_rate: Annotated[
        float, typer.Option("--error-rate", min=0, max=1, help="At most this share fails.")
    ] = 0.001,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", help="At least so many good answers a second.", show_default="90 % of --offer"
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", help="What an earlier run printed as JSON.", show_default=False),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, max=0.99, help="How much worse than that it may be.")
    ] = 0.25,
    output: OutputOption = Output.TABLE,
) -> None:
    """Put a bounded load on a deployment as a tenant; exits with 3 when a figure misses its bound."""
    from cortexctl.load import judging, running  # noqa: PLC0415 - --help must be quick
    from cortexctl.probing import points  # noqa: PLC0415

    bounds = {
        "threshold": judging.Thresholds(
            read_p99, write_p99, error_rate, 0.9 * offer if rate is None else rate
        )
    }
    if baseline is not None:
        bounds["baseline"] = judging.baseline(baseline, tolerance)
    place = points.Place(context.obj, url or (), ca)
    (door, *_), key = place.doors(), place.key(tenant, api_key_file)
    found = running.validate(door, tenant, key, running.Load(offer, connections, seconds), bounds)
    document = render.plain(found)
    if output is Output.TABLE:
        render.data(document["verdicts"], output, columns=("figure", "measured", "kind", "bound", "met"))
    else:
        render.data(document, output)
    if found.missed:
        raise ObjectiveMissed(
            f"{len(found.missed)} of {len(found.verdicts)} figures miss their bounds.",
            why=" ".join(
                f"{one.figure} is {one.measured}, its {one.kind} {one.bound}." for one in found.missed
            ),
            todo="The answers that failed are in --output json; cortexctl status shows how each part is.",
        )
