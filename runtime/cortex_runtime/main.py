"""The entry point of the runtime.

`serve CONFIG` runs a node, `probe CONFIG` asks it how it is, `migrate CONNINFO` makes the database,
`replay-erasures CONNINFO STORE…` erases in a restored database what was erased after its backup.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Run the command line; the only place of the runtime that exits."""
    parser = argparse.ArgumentParser(prog="cortex-runtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run a node")
    serve.add_argument("config", type=Path, help="the node's configuration (JSON)")
    probe = commands.add_parser("probe", help="exit with 0 when the node of this machine is ready")
    probe.add_argument("config", type=Path, help="the node's configuration (JSON)")
    probe.add_argument("--alive", action="store_true", help="… when it answers at all")
    migrate = commands.add_parser("migrate", help="make roles, database and schema")
    replay = commands.add_parser("replay-erasures", help="erase again what was erased after a backup")
    for each in (migrate, replay):
        each.add_argument("conninfo", help="libpq connection string of a superuser")
    replay.add_argument("stores", nargs="+", metavar="STORE", help="URL of a region's object store")
    arguments = parser.parse_args()
    if arguments.command == "migrate":
        from cortex_runtime.changelog.migrate import migrate as run  # noqa: PLC0415

        run(arguments.conninfo)
    elif arguments.command == "replay-erasures":
        sys.exit(_replay(arguments.conninfo, arguments.stores))
    elif arguments.command == "probe":
        from cortex_runtime.probe import probe as ask  # noqa: PLC0415

        sys.exit(ask(arguments.config, alive=arguments.alive))
    else:
        from cortex_runtime.server.node import serve as run_node  # noqa: PLC0415

        sys.exit(run_node(arguments.config))


def _replay(conninfo: str, stores: list[str]) -> str | None:
    """Replay, say what that removed, and return what went wrong."""
    import psycopg  # noqa: PLC0415

    from cortex_runtime.changelog import erasures  # noqa: PLC0415
    from cortex_runtime.objectstore import ObjectStoreError, open_store  # noqa: PLC0415

    try:
        done = erasures.replay(conninfo, [open_store(store) for store in stores])
    except (psycopg.Error, ObjectStoreError, ValueError) as error:
        return f"Nothing was erased again: {error}"
    sys.stdout.write(f"Erased again: {done.concepts} concepts, {done.rows} rows of tenants that have left.\n")
    return None


if __name__ == "__main__":
    main()
