"""Which slot a cortex is in, and which nodes hold a slot.

Rendezvous hashing: Thaler and Ravishankar, *Using name-based mappings to increase hit rates* (1998).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cortex_runtime.formats.framing import framed

SLOTS = 1024
REPLICAS_A_REGION = 2


def slot_of(tenant: str, cortex: str) -> int:
    """Return the slot (0-1023) of a tenant's cortex."""
    return _hash(framed(tenant, cortex)) % SLOTS


@lru_cache(maxsize=1 << 14)
def ranked(slot: int, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the nodes in the slot's order of preference."""
    return tuple(sorted(nodes, key=lambda node: _hash(framed(slot, node)), reverse=True))


def holders(slot: int, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which nodes of one region hold a slot."""
    return ranked(slot, nodes)[:REPLICAS_A_REGION]


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
