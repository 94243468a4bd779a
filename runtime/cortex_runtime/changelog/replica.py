"""A node's share of the data: it loads the slots placed on it, follows their logs, and owns some.

Whoever takes a slot does three things before it serves: (1) raises the token and waits until that commit
is confirmed by the quorum, which waits for any append still in flight and pushes all earlier log to the
quorum; (2) reads the slot's tail on the primary and checks it against the digest it holds; (3) serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psycopg
import structlog

from cortex_runtime.changelog.cluster import HEARTBEAT_PERIOD, Heartbeat, View, observe
from cortex_runtime.changelog.database import Connection, Database, Unavailable
from cortex_runtime.changelog.owner import NotOwner, Owner
from cortex_runtime.changelog.placement import SLOTS, holders, ranked
from cortex_runtime.changelog.plan import Write
from cortex_runtime.changelog.slots import Diverged, Slot, catch_up, load
from cortex_runtime.changelog.snapshots import Snapshots
from cortex_runtime.config import NodeConfig
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen

OBSERVE_PERIOD = 0.5
OBSERVE_PERIOD_IN_TROUBLE = 0.1
SILENT = 0.9
POLL_PERIOD = 0.03
POLL_PERIOD_IDLE = 0.25
CALL_TIMEOUT = 3.0
LOAD_TIMEOUT = 120.0
HANDED_OVER_AT_ONCE = 128
_TAKE = """
    with wanted as (
        select slot_owner.slot from slot_owner join unnest(%s::smallint[], %s::bigint[]) as seen (slot, token)
            on slot_owner.slot = seen.slot and slot_owner.token = seen.token
        order by slot_owner.slot for update of slot_owner
    )
    update slot_owner set node = %s, token = token + 1 from wanted where slot_owner.slot = wanted.slot
    returning slot_owner.slot, slot_owner.token
"""
_LAG = """
    select case when pg_is_in_recovery()
                then extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8
                else 0 end
"""
_HEADS = "select slot, seq, token, digest from slot_head"
Head = tuple[int, int, int, bytes]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the cortices of a node.

    queue: writes that wait for their append. consolidation: items of consolidation that wait.
    """

    columns: int
    concepts: int
    relationships: int
    pending: int
    queue: int
    consolidation: int


class Replica:
    """The slots of one node, and the tasks that keep them true."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        primary: Database,
        control: Database,
        local: Database,
        directory: Directory,
        heartbeat: Heartbeat,
        snapshots: Snapshots | None = None,
    ) -> None:
        # What decides about owners has connections of its own: it must not wait behind appends.
        self._config, self._primary, self._control, self._local = config, primary, control, local
        self._directory, self._heartbeat, self._snapshots = directory, heartbeat, snapshots
        self.view = View()
        self.slots: dict[int, Slot] = {}
        self.owners: dict[int, Owner] = {}
        self.problems: dict[str, str] = {}
        self.lag: float | None = None
        self.keys_proven = False  # this region's proofs of the tenants' keys are told (see server.keykeeping)
        self._placed_among: tuple[str, ...] = ()
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._deciding = asyncio.Lock()
        self._locks = [asyncio.Lock() for _ in range(SLOTS)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start observing and following."""
        self._tasks = [
            asyncio.create_task(task()) for task in (self._ticking, self._observing, self._following)
        ]

    @property
    def ready(self) -> bool:
        """True once this node holds every slot that is placed on it."""
        return self._heartbeat.state == "ready"

    @property
    def draining(self) -> bool:
        """True once this node was asked to end."""
        return self._heartbeat.state == "draining"

    def reasons(self) -> list[str]:
        """Return why this node is not healthy; nothing when it is."""
        found = [f"{name}: {why}" for name, why in sorted(self.problems.items())]
        if self._heartbeat.state == "loading":
            found.append("loading: not all slots are here yet")
        if not self._heartbeat.fresh:
            found.append("heartbeat: not renewed for 2 s")
        if not self.owning_complete:
            found.append("owners: some slots have none that lives")
        return found

    @property
    def owning_complete(self) -> bool:
        """True when every slot has an owner that lives, as last seen."""
        owners = {node for node, _ in self.view.owners}
        members = self.view.members
        return bool(owners) and all(node in members and members[node].alive for node in owners)

    @property
    def left(self) -> frozenset[str]:
        """The tenants that have left."""
        return frozenset(name for name, entry in self._directory.tenants.items() if entry.has_left)

    def totals(self) -> Totals:
        """Return the sums over all cortices here."""
        cortices = [cortex for slot in self.slots.values() for cortex in slot.cortices.values()]
        return Totals(
            columns=sum(cortex.columns for cortex in cortices),
            concepts=sum(cortex.concept_count for cortex in cortices),
            relationships=sum(cortex.relationship_count for cortex in cortices),
            pending=sum(cortex.pending_count for cortex in cortices),
            queue=sum(owner.queued for owner in self.owners.values()),
            consolidation=sum(cortex.consolidation.backlog() for cortex in cortices),
        )

    def owner_of(self, slot: int) -> str | None:
        """Return the name of the slot's owner as last seen."""
        return self.view.owners[slot][0] if self.view.owners else None

    def is_first_holder(self, slot: int) -> bool:
        """Tell whether this node is its region's first in the slot's order of preference."""
        here = tuple(sorted({*self.view.members_of(self._config.region), self._config.name}))
        return holders(slot, here)[0] == self._config.name

    async def submit(self, slot: int, write: Write) -> bytes:
        """Write as the owner. Raises NotOwner, OutcomeUnknown, Rejected or UnknownKey."""
        owner = self.owners.get(slot)
        if owner is None:
            raise NotOwner(f"slot {slot}")
        return await owner.submit(write)

    async def wait_for(self, slot: int, token: int, seq: int, timeout: float) -> bool:
        """Wait until a slot here has reached a position; tell whether it has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while slot in self.slots and not self.slots[slot].reached(token, seq):
                    self._wake.set()
                    await self.slots[slot].moved.wait()
        return slot in self.slots and self.slots[slot].reached(token, seq)

    async def load_anew(self, number: int) -> None:
        """Let go of a slot, which is then loaded again: tenants can be opened that could not be before."""
        async with self._deciding:
            if number in self.owners:
                await self._give_up([number], None)
            self.slots.pop(number, None)
            self._placed_among = ()

    async def drain(self) -> None:
        """Hand over what this node owns: finish what is in hand, then leave the slots to the others."""
        self._heartbeat.state = "draining"
        async with self._deciding:  # what is being taken just now is handed over, too
            await self._give_up(list(self.owners), None)

    async def stop(self) -> None:
        """End the tasks."""
        self._heartbeat.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Observing: who lives, who owns; taking and handing over.

    async def ended(self) -> None:
        """Return when one of the tasks has ended, which none should."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _ticking(self) -> None:
        while True:
            self._heartbeat.loop_is_alive()
            await asyncio.sleep(HEARTBEAT_PERIOD / 2)

    async def _observing(self) -> None:
        while True:
            await self._guarded("primary", self._observe_once)
            owners = {node for node, _ in self.view.owners}
            silent = any(self.view.members[n].silence > SILENT for n in owners if n in self.view.members)
            hurry = silent or bool(owners - set(self.view.members)) or "primary" in self.problems
            with suppress(TimeoutError):
                async with asyncio.timeout(OBSERVE_PERIOD_IN_TROUBLE if hurry else OBSERVE_PERIOD):
                    await self._look.wait()
            self._look.clear()

    async def _observe_once(self) -> None:
        async with self._control.connection(CALL_TIMEOUT) as connection:
            self.view = await observe(connection, self.view, self._config)
            await self._directory.refresh(connection)
        self._forget_left()
        self._forget_lost()
        async with self._deciding:
            if self.ready and self._heartbeat.fresh:
                candidates = self.view.owning_candidates()
                await self._take([slot for slot in self.slots if self._should_take(slot, candidates)])
                await self._rebalance(candidates)

    def _forget_left(self) -> None:
        """Let go of what is here of tenants that have left."""
        if left := self.left:
            for slot in self.slots.values():
                for tenant in left & {tenant for tenant, _ in slot.cortices}:
                    slot.forget(tenant)

    def _forget_lost(self) -> None:
        for slot, owner in list(self.owners.items()):
            if self.view.owners[slot][1] > owner.token:
                owner.open = False
            if not owner.open and not owner.queued:
                del self.owners[slot]

    def _should_take(self, slot: int, candidates: tuple[str, ...]) -> bool:
        node, _ = self.view.owners[slot]
        if slot in self.owners or self._config.name not in candidates:
            return False
        if node == self._config.name:
            return True
        return not self.view.may_own(node, candidates) and ranked(slot, candidates)[0] == self._config.name

    async def _take(self, slots: list[int]) -> None:
        if not slots:
            return
        tokens = [self.view.owners[slot][1] for slot in slots]
        async with self._control.connection(CALL_TIMEOUT) as connection:
            async with connection.transaction():
                # A commit that waits in vain for its quorum holds the rows: do not queue behind it for ever.
                await connection.execute("set local lock_timeout = '2s'")
                cursor = await connection.execute(_TAKE, [slots, tokens, self._config.name])
                taken = dict(await cursor.fetchall())
            heads = {row[0]: row for row in await self._heads(connection)}
        log.info("slots taken", count=len(taken), of=len(slots), region=self.view.primary_region)
        for slot, token in taken.items():
            head = heads.get(slot, (slot, 0, 0, b""))
            await self._guarded(f"slot {slot}", partial(self._own, slot, token, head))

    async def _own(self, number: int, token: int, head: Head) -> None:
        async with asyncio.timeout(CALL_TIMEOUT):
            await self._locks[number].acquire()
        try:
            if number not in self.slots:
                return
            if (head[1], head[3]) != (self.slots[number].seq, self.slots[number].digest):
                async with self._primary.connection(LOAD_TIMEOUT) as connection:
                    await self._read_tail(connection, self.slots[number], head)
            self.owners[number] = Owner(
                self.slots[number], token, node=self._config.name, primary=self._primary,
                directory=self._directory, fresh=lambda: self._heartbeat.fresh, lost=self._look.set,
            )  # fmt: skip
        finally:
            self._locks[number].release()

    async def _read_tail(self, connection: Connection, slot: Slot, head: Head) -> None:
        try:
            await catch_up(slot, connection, self._directory)
        except Diverged as divergence:
            await self._reload(connection, slot.number, str(divergence))
        else:
            if slot.digest != head[3]:
                await self._reload(connection, slot.number, "it ends at another digest")

    async def _rebalance(self, candidates: tuple[str, ...]) -> None:
        """Give slots to the node that is preferred for them, some at a time."""
        if self._config.name not in candidates:
            return
        misplaced = [
            slot
            for slot, owner in self.owners.items()
            if owner.open and ranked(slot, candidates)[0] != self._config.name
        ]
        if misplaced:
            await self._give_up(misplaced[:HANDED_OVER_AT_ONCE], candidates)

    async def _give_up(self, slots: list[int], candidates: tuple[str, ...] | None) -> None:
        owned = {slot: self.owners[slot] for slot in slots}
        await asyncio.gather(*(owner.close() for owner in owned.values()))
        heirs = [ranked(slot, candidates)[0] if candidates else None for slot in owned]
        async with self._control.connection(CALL_TIMEOUT) as connection:
            await connection.execute(
                "update slot_owner set node = heir.node, token = slot_owner.token + 1"
                " from unnest(%s::smallint[], %s::text[], %s::bigint[]) as heir (slot, node, token)"
                " where slot_owner.slot = heir.slot and slot_owner.token = heir.token",
                [list(owned), heirs, [owner.token for owner in owned.values()]],
            )
        for slot in owned:
            self.owners.pop(slot, None)

    # Placement and following.

    async def _place(self) -> None:
        """Load what is placed on this node and not here yet; let go of what is no longer placed on it."""
        mine = tuple(sorted({*self.view.members_of(self._config.region), self._config.name}))
        if mine == self._placed_among and self.ready:
            return
        placed = {slot for slot in range(SLOTS) if self._config.name in holders(slot, mine)}
        for slot in set(self.slots) - placed - set(self.owners):
            del self.slots[slot]
        missing = placed - set(self.slots)
        if missing:
            await self._load(missing)
        if placed - set(self.slots):
            return
        self._placed_among = mine
        known = self.view.members and self._directory.version and self.keys_proven
        if self._heartbeat.state == "loading" and known:
            self._heartbeat.state = "ready"

    async def _load(self, missing: set[int]) -> None:
        async with self._local.connection(CALL_TIMEOUT) as connection:
            if not self._directory.version:
                await self._directory.refresh(connection)
            used = {row[0] for row in await self._heads(connection)}
        for slot in sorted(missing - used):
            self._adopt(Slot(slot))
        for slot in sorted(missing & used):
            await self._guarded(f"slot {slot}", partial(self._load_slot, slot))

    async def _load_slot(self, number: int) -> None:
        async with self._local.connection(LOAD_TIMEOUT) as connection:
            slot = await load(number, connection, self._directory, self._snapshots)
        slot.local_seq = slot.seq
        self._adopt(slot)

    def _adopt(self, slot: Slot) -> None:
        before = self.slots.get(slot.number)
        self.slots[slot.number] = slot
        if before is not None:
            before.moved.set()

    async def _following(self) -> None:
        while True:
            await self._guarded("placement", self._place)
            moved = await self._guarded("local", self._follow_once)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_PERIOD if moved else POLL_PERIOD_IDLE):
                    await self._wake.wait()
                await asyncio.sleep(POLL_PERIOD / 2)
            self._wake.clear()

    async def _follow_once(self) -> bool:
        async with self._local.connection(CALL_TIMEOUT) as connection:
            cursor = await connection.execute(_LAG)
            row = await cursor.fetchone()
            self.lag = row[0] if row else None
            heads = await self._heads(connection)
        moved = False
        for number, seq, _, digest in heads:
            slot = self.slots.get(number)
            if slot is None:
                continue
            slot.local_seq = seq
            if number not in self.owners and (seq, digest) != (slot.seq, slot.digest):
                moved |= await self._guarded(f"slot {number}", partial(self._follow_slot, number, seq))
        return moved

    async def _follow_slot(self, number: int, seq: int) -> bool:
        async with self._locks[number], self._local.connection(LOAD_TIMEOUT) as connection:
            slot = self.slots.get(number)
            if slot is None or number in self.owners:
                return False
            try:
                if seq > slot.seq:
                    await catch_up(slot, connection, self._directory)
                    slot.local_seq = slot.seq
                    if slot.seq >= seq:
                        return True
                    why = f"the log no longer reaches back to seq {slot.seq}"
                elif await self._is_ahead(slot):
                    return False
                else:
                    why = f"seq {slot.seq} is not in the log"
            except Diverged as divergence:
                why = str(divergence)
            await self._reload(connection, number, why)
            self.slots[number].local_seq = self.slots[number].seq
            return True

    async def _reload(self, connection: Connection, number: int, why: str) -> None:
        log.warning("slot reloaded", slot=number, why=why)
        self._adopt(await load(number, connection, self._directory, self._snapshots))

    async def _is_ahead(self, slot: Slot) -> bool:
        """Tell whether this region's instance merely lags: the primary has what was applied here."""
        async with self._primary.connection(CALL_TIMEOUT) as connection:
            cursor = await connection.execute(
                "select digest from change where slot = %s and seq = %s"
                " union all select digest from slot_head where slot = %s and seq = %s",
                [slot.number, slot.seq] * 2, binary=True,
            )  # fmt: skip
            rows = await cursor.fetchall()
        return any(row[0] == slot.digest for row in rows)

    @staticmethod
    async def _heads(connection: Connection) -> list[Head]:
        return await (await connection.execute(_HEADS, binary=True)).fetchall()

    async def _guarded(self, name: str, call: Callable[[], object]) -> bool:
        try:
            result = await call()  # type: ignore[misc]
        except (Unavailable, psycopg.Error, UnknownKey, KeyringError, CannotOpen, Diverged) as error:
            self._trouble(name, str(error))
        except Exception as error:  # whatever it is, the next round must come
            log.exception("round failed", of=name)
            self._trouble(name, repr(error))
        else:
            self.problems.pop(name, None)
            return bool(result)
        return False

    def _trouble(self, name: str, why: str) -> None:
        if self.problems.get(name) != why:
            log.warning("no view", of=name, why=why)
        self.problems[name] = why
