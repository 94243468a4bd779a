"""cortexctl login, logout."""

from __future__ import annotations

from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import OutputOption, Tenant
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (login, logout):
        app.command()(command)


def login(
    context: typer.Context,
    tenant: Tenant,
    *,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address instead of opening a browser.")
    ] = False,
    patience: Annotated[
        float, typer.Option("--patience", min=1, max=3600, help="Seconds that the browser is waited for.")
    ] = 300.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Log in as a person, by the tenant's identity provider. Commands use the session until logout."""
    import webbrowser  # noqa: PLC0415 - --help must be quick

    from cortexctl import access, credentials, deployment, inputs  # noqa: PLC0415
    from cortexctl.login import log_in  # noqa: PLC0415

    def show(address: str) -> None:
        if no_browser or not webbrowser.open(address):
            render.note(f"Open this in a browser of this machine: {address}")
        else:
            render.note("Log in by the browser that was opened.")

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    with access.explained(here), access.open_client(here) as client:
        answer = log_in(client, tenant, show=show, patience=patience)
    kept = credentials.save_session(here, tenant, answer.token, answer.expires_in)
    shown = {"tenant": tenant, "role": answer.role, "session": answer.session, "saved": str(kept)}
    render.data(shown, output)


def logout(context: typer.Context, tenant: Tenant) -> None:
    """End the session of a login, on every node, and forget it here."""
    from cortexctl import access, credentials, deployment, inputs  # noqa: PLC0415

    tenant = inputs.tenant(tenant)
    here = deployment.load(context.obj)
    session = credentials.session(here, tenant)
    if session is None:
        render.note(f"There is no session of tenant {tenant!r} here: nothing to do.")
        return
    if session.left > 0:
        with access.explained(here), access.open_client(here, token=session.token) as client:
            client.request("POST", "/v1/logout", type=dict)
    credentials.forget_session(here, tenant)
    render.note(f"The session of tenant {tenant!r} is over.")
