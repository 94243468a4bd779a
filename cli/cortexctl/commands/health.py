"""cortexctl health."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import ApiKeyFile, DoorCa, DoorUrls, OutputOption
from cortexctl.errors import ObjectiveMissed
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("health")(health)


def health(
    context: typer.Context,
    *,
    url: DoorUrls = None,
    ca: DoorCa = None,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Also write and read a concept as this tenant.", show_default=False),
    ] = None,
    api_key_file: ApiKeyFile = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait for it to be healthy.")
    ] = 0,
    count: Annotated[
        int, typer.Option("--count", min=1, max=100, help="How many healthy looks in a row it takes.")
    ] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look whether a deployment is healthy, from inside, or at front doors by their URL; 3: it is not."""
    from cortexctl.probing import points, waiting  # noqa: PLC0415 - --help must be quick

    place = points.Place(context.obj, url or (), ca)
    look = place.looking() if tenant is None else place.looking_as(tenant, api_key_file)
    found = waiting.wait(look, count=count, seconds=wait, tell=render.note)
    for warning in found.last.warnings:
        render.note(f"Note: {warning}.")
    document = {
        "healthy": found.in_a_row >= count,
        "healthy_in_a_row": found.in_a_row,
        "looks": found.looks,
        "seconds": found.seconds,
        "looked_at": list(found.last.looked_at),
        "reasons": list(found.last.reasons),
        "warnings": list(found.last.warnings),
    }
    render.data(document, output)
    if not document["healthy"]:
        reasons = found.last.reasons or (f"{found.in_a_row} of {count} looks in a row were healthy",)
        raise ObjectiveMissed(
            f"Not healthy after {found.looks} looks in {found.seconds:g} s.",
            why=" ".join(f"{reason}." for reason in reasons),
            todo="cortexctl status shows each part; --wait gives it time.",
        )
