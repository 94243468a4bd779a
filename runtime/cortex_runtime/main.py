"""The entry point of the runtime: `serve CONFIG` runs a node, `migrate CONNINFO` makes the database."""

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
    migrate = commands.add_parser("migrate", help="make roles, database and schema")
    migrate.add_argument("conninfo", help="libpq connection string of a superuser")
    arguments = parser.parse_args()
    if arguments.command == "migrate":
        from cortex_runtime.changelog.migrate import migrate as run  # noqa: PLC0415

        run(arguments.conninfo)
    else:
        from cortex_runtime.server.node import serve as run_node  # noqa: PLC0415

        sys.exit(run_node(arguments.config))


if __name__ == "__main__":
    main()
