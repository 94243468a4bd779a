"""cortexctl key schedule, seal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption
from cortexctl.render import Output


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (schedule, seal):
        app.command()(command)


def schedule(
    context: typer.Context,
    *,
    data: Annotated[int | None, typer.Option("--data", help="Days of a tenant's data key.")] = None,
    kek: Annotated[int | None, typer.Option("--kek", help="Days of a key-encryption key.")] = None,
    root: Annotated[int | None, typer.Option("--root", help="Days of the root key.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", help="Days of the keys that sign tokens.")] = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show after how many days each kind of key is due, or change it. key rotate --due rotates what is."""
    from dataclasses import asdict  # noqa: PLC0415 - --help must be quick

    from cortexctl import deployment, keys, locking  # noqa: PLC0415

    wish = {"data": data, "kek": kek, "root": root, "tokens": tokens}
    here = deployment.load(context.obj)
    policy = keys.changed_policy(here, wish)
    if not dry_run and any(days is not None for days in wish.values()):
        with locking.lock(here.name, "key schedule"):
            policy = keys.set_policy(deployment.load(context.obj), wish)
    render.data(asdict(policy), output)


def seal(
    context: typer.Context,
    *,
    new_passphrase_file: Annotated[
        Path, typer.Option("--new-passphrase-file", help="A file with the passphrase.", show_default=False)
    ],
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Seal the keyring of every region by a passphrase, or by another one. Repeat it when it was ended."""
    from cortexctl import deployment, keys, locking  # noqa: PLC0415

    here = deployment.load(context.obj)
    if dry_run:
        render.data(render.plain(keys.preview_sealing(here, new_passphrase_file)), output)
        return
    with locking.lock(here.name, "key seal"):
        done = keys.seal(deployment.load(context.obj), new_passphrase_file, told=render.note)
    render.data(render.plain(done), output)
