"""A tenant's leaving: what is left of it, and whether anything of it still opens."""

from __future__ import annotations

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages.base import Message


class LegalHoldRequest(Message, frozen=True, kw_only=True):
    """Hold a tenant's data against their destruction, or hold them no more."""

    held: bool


class PurgeProgress(Message, frozen=True, kw_only=True):
    """How many rows were removed just now; none are left after 0."""

    removed: int


class Residue(Message, frozen=True, kw_only=True):
    """What one node and its region still have of a tenant, by part; and whether its check values open there.

    `opens` has the versions of its data key that this node could open by its region's keyring.
    """

    node: str
    region: str
    state: str
    parts: dict[str, int]
    opens: list[int]


decoding.learn(globals())
