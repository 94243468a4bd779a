"""After the fault: is every acknowledged write there, and no refused one anywhere?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cortex_runtime.client import ApiError, Client
from cortex_runtime.formats.messages import BatchRequest, BatchResponse, Concept, DeleteOperation, Position
from cortexctl.access import cortex_path
from cortexctl.drill.history import Findings, History, Write

READERS = 8
CLEANED_AT_ONCE = 500


def verify(
    history: History,
    door: Client,
    nodes: dict[str, Client],
    path: Callable[[str], str],
) -> Findings:
    """Read every acknowledged write by id through the front door, and ask every node for the refused ones.

    The reads ask for the position of the last acknowledged write. Raises ClientError when an answer is
    not to be had: then nothing is known.
    """
    position = last_position(history)
    acknowledged = history.of("acknowledged")
    with ThreadPoolExecutor(READERS) as pool:
        there = pool.map(lambda write: _is_there(door, path(write.id), write.text, position), acknowledged)
        missing = tuple(write.id for write, found in zip(acknowledged, there, strict=True) if not found)
        doubtful = history.of("unknown")
        turned = pool.map(lambda write: _is_there(door, path(write.id), write.text, position), doubtful)
        turned_up = tuple(write.id for write, found in zip(doubtful, turned, strict=True) if found)
        ghosts = tuple(pool.map(lambda pair: _ghost(pair, path), _pairs(history.of("refused"), nodes)))
    return Findings(missing, tuple(ghost for ghost in ghosts if ghost), turned_up)


def last_position(history: History) -> Position | None:
    """Return the position that contains all acknowledged writes."""
    positions = [write.position for write in history.of("acknowledged") if write.position]
    return max(positions, key=lambda position: (position.token, position.seq), default=None)


def clean(history: History, door: Client, tenant: str, cortex: str) -> None:
    """Delete what the canary wrote. Raises ClientError."""
    ids = [write.id for write in history.writes if write.status != "refused"]
    path = cortex_path(tenant, cortex, "batch")
    for first in range(0, len(ids), CLEANED_AT_ONCE):
        operations = [DeleteOperation(id=id_) for id_ in ids[first : first + CLEANED_AT_ONCE]]
        door.request("POST", path, BatchRequest(operations=list(operations)), type=BatchResponse)


def _pairs(writes: Sequence[Write], nodes: dict[str, Client]) -> list[tuple[Write, str, Client]]:
    return [(write, name, client) for write in writes for name, client in nodes.items()]


def _ghost(pair: tuple[Write, str, Client], path: Callable[[str], str]) -> tuple[str, str] | None:
    write, name, client = pair
    return (write.id, name) if _exists(client, path(write.id), None) else None


def _is_there(client: Client, path: str, text: str, position: Position | None) -> bool:
    concept = _exists(client, path, position)
    return concept is not None and concept.text == text


def _exists(client: Client, path: str, position: Position | None) -> Concept | None:
    try:
        return client.request("GET", path, type=Concept, position=position)
    except ApiError as error:
        if error.code == "not_found":
            return None
        raise
