"""What a drill has ended and not yet brought back: a file that outlives the drill's process.

It is written before the fault and removed after the return, so that the next drill brings back what one
that was killed left behind.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from cortex_runtime.formats import decoding
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.drill.report import directory
from cortexctl.drill.scenario import Kind
from cortexctl.errors import Refused
from cortexctl.platforms.base import Platform


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a drill ends."""

    drill: str
    kind: Kind
    target: str


def remember(deployment: Deployment, leftover: Leftover) -> None:
    """Keep what is about to be ended."""
    durable.write(_path(deployment), msgspec.json.encode(leftover))


def found(deployment: Deployment) -> Leftover | None:
    """Return what an earlier drill did not bring back. Raises Refused when the file is damaged."""
    path = _path(deployment)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Leftover)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Refused(
            f"{path} cannot be read.", why=str(error), todo="Run cortexctl up, then remove the file."
        ) from error


def bring_back(deployment: Deployment, platform: Platform, leftover: Leftover) -> None:
    """Start what was ended and forget it. A database is started by Patroni alone."""
    if leftover.kind == "kill-region":
        platform.start_region(leftover.target)
    elif leftover.kind == "kill-node":
        platform.start_node(leftover.target)
    _path(deployment).unlink(missing_ok=True)
    durable.sync_directory(directory(deployment))


def _path(deployment: Deployment) -> Path:
    return directory(deployment) / ".unfinished.json"


decoding.learn(globals())
