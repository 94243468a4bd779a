"""A node's report."""

from __future__ import annotations

from typing import Literal

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message, Position


class SlotReport(Message, frozen=True, kw_only=True):
    """A slot that holds concepts, as one node sees it. `digest` is its arrays' hash, if asked for."""

    slot: int
    owner: bool
    position: Position
    digest: str


class ConsolidationReport(Message, frozen=True, kw_only=True):
    """Items of consolidation that wait, and were done since the start; seconds of the longest slice."""

    backlog: int
    done: int
    longest_slice: float


class HealthReport(Message, frozen=True, kw_only=True):
    """What a node says of itself. `lag` is seconds behind the primary, null when it cannot know.

    `damaged_rows` did not open when their slots were loaded; cortexctl key verify looks for such.
    `signing_key` is the id of the key that signs its tokens, `token_keys` those of all whose it believes.
    """

    deployment: str
    node: str
    region: str
    version: str
    status: Literal["healthy", "degraded", "draining"]
    reasons: list[str]
    role: Literal["owner", "replica"]
    primary_region: str | None
    owned: int
    held: int
    lag: float | None
    columns: int
    concepts: int
    relationships: int
    pending_relationships: int
    queue: int
    damaged_rows: int = 0
    consolidation: ConsolidationReport
    kernels: Literal["numpy", "numba"]
    signing_key: str = ""
    token_keys: tuple[str, ...] = ()
    uptime: float
    slots: list[SlotReport]


decoding.learn(globals())
