"""cortexctl key rotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexctl import render
from cortexctl.commands.options import DryRun, OutputOption
from cortexctl.errors import UsageError
from cortexctl.render import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from cortex_runtime.client import Client
    from cortexctl.deployment import Deployment
    from cortexctl.health import Answer
    from cortexctl.keys import Aged

All = Annotated[bool, typer.Option("--all", help="All tenants.")]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", help="All tenants whose key is as old: 90d, 12h.", show_default=False),
]
Due = Annotated[
    bool, typer.Option("--due", help="Every key that has reached the schedule's age, of any kind.")
]
Kek = Annotated[bool, typer.Option("--kek", help="The key-encryption key; no record is sealed anew.")]
Root = Annotated[bool, typer.Option("--root", help="The root key, which wraps the key-encryption keys.")]
Tokens = Annotated[bool, typer.Option("--tokens", help="The keys that sign tokens, of nodes and operators.")]
Wait = Annotated[bool, typer.Option("--wait", help="Also wait until all rows are under the new version.")]
OneTenant = Annotated[str | None, typer.Option("--tenant", help="The tenant's name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rotate)


def rotate(
    context: typer.Context,
    *,
    tenant: OneTenant = None,
    all_: All = False,
    older_than: OlderThan = None,
    due: Due = False,
    kek: Kek = False,
    root: Root = False,
    tokens: Tokens = False,
    wait: Wait = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rotate keys: of one tenant, of all, or of those that are old enough; or those of the deployment itself.

    A data key gets a new version that is proven in every region; all new writes use it at once, and what
    older ones seal is sealed anew in the background. A key that signs tokens is published everywhere before
    it signs, and no token that is good is refused.
    """
    from cortexctl import access, deployment, keys, locking  # noqa: PLC0415 - --help must be quick

    if [tenant is not None, all_, older_than is not None, due, root, tokens].count(True) != 1:
        raise UsageError(
            "It is not clear which keys to rotate.",
            why="One of --tenant, --all, --older-than, --due, --root and --tokens says so.",
            todo="Give one of them.",
        )  # fmt: skip
    if (kek and (due or root or tokens)) or (wait and (kek or root or tokens)):
        raise UsageError("These options do not go together.", todo="See cortexctl key rotate --help.")
    limit = None if older_than is None else keys.parse_age(older_than)
    here = deployment.load(context.obj)
    with access.explained(here), access.operator(here) as client:
        chosen = _chosen(here, client, tenant, limit, due=due, kek=kek, root=root, tokens=tokens)
        if not chosen:
            render.note("Nothing to do: no key is that old.")
        if dry_run:
            shown = [_preview(here, client, each) for each in chosen]
            _show(shown, output, alone=tenant is not None)
            return
        with locking.lock(here.name, "key rotate"):
            by_name = {_name(each, due=due): each for each in chosen}
            done, failed = keys.each(here, by_name, lambda name: _rotate(here, client, by_name[name]))
        _show(done, output, alone=tenant is not None or root)
        keys.check(failed, f"{len(done)} of {len(chosen)} keys were rotated")
        for each in chosen if wait else ():
            if each.kind == "data":
                keys.await_reencryption(client, each.tenant, told=render.note)


def _chosen(
    here: Deployment, client: Client, tenant: str | None, limit: timedelta | None,
    *, due: bool, kek: bool, root: bool, tokens: bool,
) -> list[Aged]:  # fmt: skip
    from cortexctl import inputs, keys, tenants  # noqa: PLC0415

    kind: keys.Kind = "kek" if kek else "data"
    if root:
        return [keys.Aged("root", "", None)]
    if tokens:
        return keys.token_key_ages(here)
    if tenant is not None:
        return [keys.Aged(kind, inputs.tenant(tenant), None)]
    names = [one.tenant for one in tenants.show_all(client) if one.state in ("active", "suspended")]
    if not due and limit is None:
        return [keys.Aged(kind, name, None) for name in names]
    wrapping = keys.wrapping_key_ages(here, names) if due or kek else []
    if due:
        ages = [*wrapping, *keys.data_key_ages(client, names), *keys.token_key_ages(here)]
        return keys.due(ages, keys.policy_of(here))
    ages = wrapping if kek else keys.data_key_ages(client, names)
    return [each for each in ages if each.kind == kind and limit is not None and each.is_older(limit)]


def _preview(here: Deployment, client: Client, each: Aged) -> dict[str, Any]:
    from cortexctl import keys  # noqa: PLC0415

    if each.kind == "root":
        return {"would": "make a new root key, and wrap the keys of all keyrings by it"}
    if each.kind in keys.ISSUERS:
        return _plain(keys.preview_tokens(here, keys.ISSUERS[each.kind]))
    if each.kind == "kek":
        return _plain(keys.preview_kek(here, client, each.tenant))
    return _plain(keys.preview(client, each.tenant))


def _rotate(here: Deployment, client: Client, each: Aged) -> dict[str, Any]:
    from cortexctl import access, keys  # noqa: PLC0415

    if each.kind == "root":
        return _plain(keys.rotate_root(here))
    doors, told = access.region_doors(here), _told(each.tenant)
    if each.kind in keys.ISSUERS:
        return _plain(keys.rotate_tokens(here, keys.ISSUERS[each.kind], _asked(here), told=render.note))
    if each.kind == "kek":
        return _plain(keys.rotate_kek(here, client, doors, each.tenant, told=told))
    return _plain(keys.rotate(client, doors, each.tenant, told=told))


def _asked(here: Deployment) -> Callable[[], tuple[Answer, ...]]:
    """Return what asks the nodes that live for their reports."""
    from cortexctl import health, platforms  # noqa: PLC0415

    def ask() -> tuple[Answer, ...]:
        living = platforms.of(here).living()
        return health.ask(here, [node for node in here.nodes if node.name in living])

    return ask


def _name(each: Aged, *, due: bool) -> str:
    if not each.tenant:
        return each.kind
    return f"{each.tenant} ({each.kind})" if due else each.tenant


def _told(tenant: str) -> Callable[[str], None]:
    return lambda text: render.note(f"{tenant}: {text}")


def _plain(value: object) -> dict[str, Any]:
    found: dict[str, Any] = render.plain(value)
    return found


def _show(rows: list[dict[str, Any]], output: Output, *, alone: bool) -> None:
    """Show what was done: of one thing that was named as a mapping."""
    if alone:
        for row in rows:
            render.data(row, output)
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    render.data(rows, output, columns=names)
