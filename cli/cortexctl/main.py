"""The entry point of cortexctl: the only place that prints errors and exits."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cortexctl.commands import (
    api_key,
    audit,
    aws,
    bench,
    certificate,
    cloud,
    cluster,
    compliance,
    concept,
    deployment,
    drill,
    evidence,
    failover,
    health,
    key,
    login,
    policy,
    query,
    rights,
    tenant,
)
from cortexctl.deployment import DEFAULT
from cortexctl.errors import CortexctlError

app = typer.Typer(
    name="cortexctl",
    help="The control plane of CortexKG: regions, tenants, keys, drills.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group, name in (
    (tenant.app, "tenant"),
    (api_key.app, "api-key"),
    (evidence.app, "evidence"),
    (concept.app, "concept"),
    (key.app, "key"),
    (audit.app, "audit"),
    (aws.app, "aws"),
    (bench.app, "bench"),
    (certificate.app, "certificate"),
    (cluster.app, "cluster"),
    (compliance.app, "compliance"),
    (drill.app, "drill"),
    (failover.app, "failover"),
    (policy.app, "policy"),
):
    app.add_typer(group, name=name)
deployment.register(app)
cloud.register(app)
health.register(app)
rights.register(tenant.app)
query.register(app)
login.register(app)


@app.callback()
def _options(
    context: typer.Context,
    deployment_name: Annotated[
        str, typer.Option("--deployment", envvar="CORTEXCTL_DEPLOYMENT", help="The deployment's name.")
    ] = DEFAULT,
) -> None:
    context.obj = deployment_name


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="cortexctl")
    except CortexctlError as error:
        _explain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command again to finish what was begun.\n")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _explain(error: CortexctlError) -> None:
    sys.stderr.write(f"Error: {error.what}\n")
    if error.why:
        sys.stderr.write(f"  why: {error.why}\n")
    if error.todo:
        sys.stderr.write(f"  what to do: {error.todo}\n")


if __name__ == "__main__":
    main()
