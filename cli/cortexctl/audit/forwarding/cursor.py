"""How far a sink is: the next leaf and event of each log, kept durably."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from cortex_runtime.formats import decoding
from cortexctl import durable
from cortexctl.errors import Refused


class Place(Struct, frozen=True):
    """The next event that a sink is to have: its leaf, and its number in the log."""

    leaf: int = 0
    event: int = 0


class Cursor:
    """The places of one sink. What was acknowledged is written before anything else is sent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._places = msgspec.json.decode(path.read_bytes(), type=dict[str, Place])
        except FileNotFoundError:
            self._places = {}
        except (OSError, ValueError) as error:
            raise Refused(
                f"{path} is damaged: it is not known how far its sink is.", why=str(error),
                todo="Restore it, or remove it: then everything is sent again.",
            ) from error  # fmt: skip

    def __getitem__(self, tenant: str) -> Place:
        return self._places.get(tenant, Place())

    def advance(self, tenant: str, place: Place) -> None:
        """Keep a new place. Raises OSError."""
        self._places[tenant] = place
        durable.write(self._path, msgspec.json.encode(self._places))


decoding.learn(globals())
