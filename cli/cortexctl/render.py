"""The one renderer: data to stdout as table, JSON or YAML; everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def data(value: Any, output: Output, *, columns: Sequence[str] = (), title: str = "") -> None:
    """Print plain data (mappings, sequences, scalars) to stdout.

    As a table a sequence of mappings has one row each with `columns`; a mapping has one row a key.
    """
    if output is Output.JSON:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    elif output is Output.YAML:
        sys.stdout.write(text(value))
    else:
        _table(value, columns, title)


def text(value: Any) -> str:
    """Return plain data as YAML."""
    import yaml  # noqa: PLC0415 - imported where it is used: --help must be quick

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def plain(value: object) -> Any:
    """Return messages and dataclasses, or sequences of them, as plain data."""
    import msgspec  # noqa: PLC0415

    return msgspec.to_builtins(value)


def note(text: str) -> None:
    """Tell the user something on stderr."""
    sys.stderr.write(text + "\n")


def _table(value: Any, columns: Sequence[str], title: str) -> None:
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    # Rich takes what isn't a terminal to be 80 columns wide, and breaks words to fit.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 250)
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    if isinstance(value, Mapping):
        table.show_header = False
        table.add_column()
        table.add_column(overflow="fold")
        for key, item in value.items():
            table.add_row(str(key), _cell(item))
    else:
        rows = list(value)
        names = list(columns) or list(rows[0] if rows else [])
        for name in names:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)
