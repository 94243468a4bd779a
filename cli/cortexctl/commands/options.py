"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl.render import Output

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How data is printed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Tenant = Annotated[str, typer.Argument(help="The tenant's name.", show_default=False)]
TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant's name.", show_default=False)]
Cortex = Annotated[str, typer.Option("--cortex", help="The tenant's cortex.")]
VectorFile = Annotated[
    str | None,
    typer.Option(
        "--vector", metavar="FILE", help="A file with a JSON array of numbers; - is standard input.",
        show_default=False,
    ),
]  # fmt: skip
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        help="A file with the tenant's API key, instead of the saved one.",
        show_default=False,
    ),
]
DoorUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", show_default=False,
        help="A front door of a deployment elsewhere, instead of a deployment here; several times: several.",
    ),
]  # fmt: skip
DoorCa = Annotated[
    Path | None,
    typer.Option("--ca", help="The CA's certificate, for --url.", show_default=False),
]
