"""The tenants' Merkle trees as the database has them: growing them, and the proofs that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats import merkle
from cortex_runtime.formats.checkpoint import Checkpoint, Signer, origin_of
from cortex_runtime.formats.merkle import Frontier, Range, Subtree

CORTEX = "main"  # whoever owns its slot takes care of the tenant's tree
MAX_SEGMENTS = 4096  # that get their places in one transaction
_LEVEL_HEIGHT = 8  # a level of stored hashes stands for subtrees of 256 of those below it
_WAITING = """
    select id, hash, events from audit_segment where tenant = %s and leaf is null
    order by first_time, id limit %s
"""
_STORED = """
    select level, number, hash
    from unnest(%(levels)s::int[], %(firsts)s::bigint[], %(ends)s::bigint[]) as wanted (level, first, ending)
    join lateral (
        select leaf as number, hash from audit_segment
        where wanted.level = 0 and tenant = %(tenant)s and leaf >= first and leaf < ending
        union all
        select number, hash from audit_subtree
        where tenant = %(tenant)s and audit_subtree.level = wanted.level
          and number >= first and number < ending
    ) as found on true
"""


@dataclass(frozen=True, slots=True)
class Head:
    """A tree's size in leaves and in events, and its right edge."""

    size: int
    events: int
    frontier: bytes


async def waiting_tenants(connection: Connection) -> list[str]:
    """Return the tenants that have segments without a place."""
    rows = await connection.execute("select distinct tenant from audit_segment where leaf is null")
    return [tenant for (tenant,) in await rows.fetchall()]


async def sequence(connection: Connection, deployment: str, tenant: str, signer: Signer) -> int:
    """Give waiting segments of a tenant their places, and sign the tree's new head; return how many got one.

    When two do it at the same time, one of them does nothing.
    """
    head = await head_of(connection, tenant)
    rows = await (await connection.execute(_WAITING, [tenant, MAX_SEGMENTS], binary=True)).fetchall()
    if not rows:
        return 0
    frontier, events = Frontier(head.size, head.frontier), head.events
    firsts: list[int] = []
    made: list[tuple[Subtree, bytes]] = []
    for _, hashed, count in rows:
        made += frontier.add(hashed)
        firsts.append(events)
        events += count
    kept = [((height // _LEVEL_HEIGHT, number), hashed) for (height, number), hashed in made
            if height % _LEVEL_HEIGHT == 0]  # fmt: skip
    note = signer.sign(Checkpoint(origin_of(deployment, tenant), frontier.size, frontier.root))
    done = await connection.execute(
        "select audit_sequence(%s, %s, %s, %s::bigint[], %s, %s,"
        " %s::smallint[], %s::bigint[], %s::bytea[], %s)",
        [
            tenant, head.size, [row[0] for row in rows], firsts, events, frontier.stored,
            [level for (level, _), _ in kept], [number for (_, number), _ in kept],
            [hashed for _, hashed in kept], note,
        ],
    )  # fmt: skip
    row = await done.fetchone()
    return len(rows) if row is not None and row[0] else 0


async def head_of(connection: Connection, tenant: str) -> Head:
    """Return the head of a tenant's tree."""
    rows = await connection.execute(
        "select size, events, frontier from audit_tree where tenant = %s", [tenant], binary=True
    )
    row = await rows.fetchone()
    return Head(*row) if row is not None else Head(0, 0, b"")


async def checkpoint_of(connection: Connection, tenant: str, size: int) -> str:
    """Return the checkpoint of a tenant's tree when it had a size, which was that of its head."""
    rows = await connection.execute(
        "select note from audit_checkpoint where tenant = %s and size = %s", [tenant, size]
    )
    row = await rows.fetchone()
    assert row is not None
    return str(row[0])


async def hashes_of(connection: Connection, tenant: str, ranges: Sequence[Range]) -> list[bytes]:
    """Return the hashes of ranges of a tree's leaves: a proof. Reads some 500 hashes a level of 256."""
    wanted = {subtree: _stored_under(subtree) for each in ranges for subtree in merkle.subtrees(*each)}
    levels, firsts, ends = zip(*set(wanted.values()), strict=True) if wanted else ((), (), ())
    rows = await connection.execute(
        _STORED,
        {"tenant": tenant, "levels": list(levels), "firsts": list(firsts), "ends": list(ends)},
        binary=True,
    )
    stored = {(level, number): bytes(hashed) for level, number, hashed in await rows.fetchall()}

    def hash_of(subtree: Subtree) -> bytes:
        level, first, end = wanted[subtree]
        return merkle.root([stored[level, number] for number in range(first, end)])

    return merkle.prove(ranges, hash_of)


def _stored_under(subtree: Subtree) -> tuple[int, int, int]:
    """Return the level of stored hashes that a subtree is made of, the first of them, and the one behind."""
    height, number = subtree
    level, above = divmod(height, _LEVEL_HEIGHT)
    return level, number << above, (number + 1) << above
