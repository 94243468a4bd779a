"""cortexctl policy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import OutputOption
from cortexctl.render import Output

app = typer.Typer(
    help="Policies: rules for plans of Terraform and manifests of Kubernetes.", no_args_is_help=True
)

DENIALS = ("severity", "rule", "message")
VERDICTS = ("rule", "verdict", "severity", "title", "why", "remedy", "looked_at")
RULES = ("rule", "subject", "severity", "title", "remedy")


@app.command()
def check(
    context: typer.Context,
    *,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="A plan, as terraform show -json prints it; - is standard input.",
            show_default=False,
        ),
    ] = None,
    manifests: Annotated[
        str | None,
        typer.Option(
            "--manifests",
            metavar="FILE",
            help="Manifests, as a chart renders them; - is standard input.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show of each rule what it has looked at, and its reasons.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Hold a plan or manifests against the rules. Exits with 5 when one denies them."""
    from cortexctl import deployment, inputs, policy  # noqa: PLC0415 - --help must be quick

    name = inputs.one_of(plan, manifests, "--plan", "--manifests")
    content = sys.stdin.buffer.read() if name == "-" else inputs.file(Path(name))
    matter = policy.read_plan(content, name) if plan else policy.read_manifests(content, name)
    facts = policy.facts_of(deployment.load_if_made(context.obj))
    verdicts = policy.Judge(policy.rules_of(matter.subject), facts).judge(matter)
    if explain:
        render.data(policy.explain(verdicts), output, columns=VERDICTS)
    elif (denials := policy.rows(verdicts)) or output is not Output.TABLE:
        render.data(denials, output, columns=DENIALS)
    policy.refuse(verdicts, name)
    render.note(f"{len(verdicts)} rules pass {name}.")


@app.command("list")
def list_(*, output: OutputOption = Output.TABLE) -> None:
    """List the rules."""
    from cortexctl import policy  # noqa: PLC0415

    found = [*policy.rules_of("terraform"), *policy.rules_of("kubernetes")]
    rows = [
        {"rule": rule.name, "subject": rule.subject, "severity": rule.severity, "title": rule.title,
         "description": rule.description, "remedy": rule.remedy, "looks_at": list(rule.types)}
        for rule in found
    ]  # fmt: skip
    render.data(rows, output, columns=RULES)
