"""The owner of a slot: takes writes, lets them compete, appends, and only then changes its arrays.

One append is in flight; what arrives meanwhile is the next one. When an append's outcome is unknown the
owner answers just that and stops: the three steps (protocol: raise the token, read the tail, then serve)
are done by whoever owns the slot next, this node included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import errors

from cortex_runtime.changelog.database import Connection, Database, NotConnected, Unavailable
from cortex_runtime.changelog.plan import Plan, Rejected, Write, prepare
from cortex_runtime.changelog.reencryption import Row
from cortex_runtime.changelog.slots import Change, Slot
from cortex_runtime.security.directory import Directory

APPEND_TIMEOUT = 3.0
MAX_OPERATIONS = 1000
MAX_BATCH_BYTES = 4 << 20
MAX_QUEUED_BYTES = 64 << 20
NOT_OWNER, HEAD_MOVED, KEY_NOT_IN_USE, OVER_QUOTA = "CX001", "CX002", "CX003", "CX004"
_REWRITE = (
    "select reencrypt(%s::smallint, %s, %s, %s, %s, %s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[],"
    " %s::bytea[], %s::bytea[])"
)
log = structlog.get_logger()


class NotOwner(Exception):
    """This node does not own the slot, or not any more. The write certainly did not happen."""


class OutcomeUnknown(Exception):
    """The append may or may not be durable. The same idempotency key tells later."""


class _TriedApart(Exception):
    """One of several writes is refused, and which one is found by trying each by itself."""


class Owner:
    """Owns one slot by one token, until it is closed or loses it."""

    def __init__(
        self,
        slot: Slot,
        token: int,
        *,
        node: str,
        primary: Database,
        directory: Directory,
        fresh: Callable[[], bool],
        lost: Callable[[], None],
    ) -> None:
        self.slot, self.token = slot, token
        self.open = True
        self._node, self._primary, self._directory = node, primary, directory
        self._fresh, self._lost = fresh, lost
        self._queue: list[Write] = []
        self._worker: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    @property
    def queued(self) -> int:
        """Number of writes that wait or are in flight."""
        return len(self._queue)

    async def submit(self, write: Write) -> bytes:
        """Return the sealed-and-kept answer (JSON of a BatchResponse) once the write is durable.

        Raises NotOwner, OutcomeUnknown, Rejected (the write's own fault) or UnknownKey.
        """
        if not self.open or not self._fresh():
            raise NotOwner(f"slot {self.slot.number}")
        if sum(waiting.size for waiting in self._queue) + write.size > MAX_QUEUED_BYTES:
            raise Rejected("unavailable", "Too much is waiting to be written to this cortex; try again.")
        self._queue.append(write)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await write.answer

    async def rewrite(self, tenant: str, version: int, anew: list[tuple[Row, bytes]]) -> int:
        """Put rows that are sealed anew in place of what they were, unless changed; return how many.

        Waits for the append in flight, so that the two do not wait for each other's rows. Raises NotOwner,
        Unavailable or psycopg.Error.
        """
        concepts = [(row, entry) for row, entry in anew if len(row.id) == 16]
        edges = [(row, entry) for row, entry in anew if len(row.id) != 16]
        parameters = [
            self.slot.number, self._node, self.token, tenant, version,
            [row.id for row, _ in concepts], [row.operation for row, _ in concepts],
            [entry for _, entry in concepts],
            [row.id for row, _ in edges], [row.entry for row, _ in edges], [entry for _, entry in edges],
        ]  # fmt: skip
        async with self._writing, self._primary.connection(APPEND_TIMEOUT) as connection:
            try:
                cursor = await connection.execute(_REWRITE, parameters, binary=True)
            except psycopg.Error as error:
                if error.sqlstate in (NOT_OWNER, KEY_NOT_IN_USE):
                    raise NotOwner(str(error)) from error
                raise
            row = await cursor.fetchone()
        for each, _ in concepts:
            self.slot.contents.pop((tenant, each.id), None)
        return row[0] if row else 0

    async def close(self) -> None:
        """Take no more writes, and return when those in hand are done."""
        self.open = False
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        alone = 0  # so many of the next writes go one by one, after they failed together
        while self._queue:
            batch = self._queue[:1] if alone else self._next_batch()
            alone = max(0, alone - 1)
            try:
                await self._perform(batch)
            except NotConnected as error:
                self._answer(batch, NotOwner(str(error)))
            except Unavailable as error:
                self._fail(batch, OutcomeUnknown(str(error)))
            except NotOwner as error:
                self._fail(batch, error)
            except _TriedApart:
                alone = len(batch)
            except Exception as error:
                log.exception("append failed", slot=self.slot.number, writes=len(batch))
                if len(batch) == 1:
                    self._answer(batch, error)
                else:
                    alone = len(batch)
            self._queue = [write for write in self._queue if not write.answer.done()]

    def _next_batch(self) -> list[Write]:
        """Return the first writes that fit together: no idempotency key twice, and not too much."""
        batch: list[Write] = []
        keys: set[tuple[str, bytes]] = set()
        operations = size = 0
        for write in self._queue:
            operations += len(write.operations)
            size += write.size
            if batch and (operations > MAX_OPERATIONS or size > MAX_BATCH_BYTES):
                break
            if (write.tenant, write.key) not in keys:
                keys.add((write.tenant, write.key))
                batch.append(write)
        return batch

    async def _perform(self, batch: list[Write]) -> None:
        plan = await prepare(self.slot, self.token, batch, self._directory)
        if plan.rejected:
            await self._reject(plan.rejected)
        if not plan.writes:
            return
        if not self._fresh():
            raise NotOwner(f"slot {self.slot.number}: the heartbeat is overdue")
        try:
            digest = await self._append(plan)
        except errors.UniqueViolation as violation:
            await self._answer_known(plan.writes, violation)
        except psycopg.Error as error:
            if error.sqlstate in (NOT_OWNER, HEAD_MOVED):
                raise NotOwner(str(error)) from error
            if error.sqlstate == OVER_QUOTA:
                self._over_quota(plan.writes, error)
            elif error.sqlstate == KEY_NOT_IN_USE:
                await self._renew_keys(plan.writes)
            else:
                raise
        else:
            async with self.slot.changing:  # its arrays may just be copied
                self._apply(plan, digest)

    async def _append(self, plan: Plan) -> bytes:
        async with self._writing, self._primary.connection(APPEND_TIMEOUT) as connection:
            cursor = await connection.execute(plan.statement, plan.parameters(self._node), binary=True)
            row = await cursor.fetchone()
        assert row is not None
        return bytes(row[0])

    def _apply(self, plan: Plan, digest: bytes) -> None:
        for change in plan.changes:
            self.slot.apply(
                Change(change.seq, self.token, change.tenant, change.cortex, change.sealed, change.digest),
                change.entry,
            )
        assert digest == self.slot.digest
        for write in plan.writes:
            write.succeed(plan.answers[write.tenant, write.key])

    async def _answer_known(self, writes: list[Write], violation: errors.UniqueViolation) -> None:
        """Answer those writes whose key has an answer already; the others stay in the queue."""
        found = 0
        async with self._primary.connection(APPEND_TIMEOUT) as connection:
            for write in writes:
                try:
                    answer = await find_answer(connection, self._directory, write)
                except Rejected as rejection:
                    write.fail(rejection)
                    found += 1
                else:
                    if answer is not None:
                        write.succeed(answer)
                        found += 1
        if not found:
            raise violation

    async def _reject(self, rejected: list[tuple[Write, Rejected]]) -> None:
        """Refuse writes, but for those that were done before: they may be what made them impossible."""
        async with self._primary.connection(APPEND_TIMEOUT) as connection:
            for write, rejection in rejected:
                try:
                    answer = await find_answer(connection, self._directory, write)
                except Rejected as conflict:
                    write.fail(conflict)
                else:
                    if answer is None:
                        write.fail(rejection)
                    else:
                        write.succeed(answer)

    def _over_quota(self, writes: list[Write], error: psycopg.Error) -> None:
        """Refuse a write that is more than its tenant may have; of several each is tried by itself."""
        if len(writes) > 1:
            raise _TriedApart
        reached = error.diag.message_primary
        self._answer(writes, Rejected("quota", f"The tenant's quota of {reached} is reached."))

    async def _renew_keys(self, writes: list[Write]) -> None:
        async with self._primary.connection(APPEND_TIMEOUT) as connection:
            if not await self._directory.refresh(connection):
                self._answer(writes, Rejected("unavailable", "The tenant's active key is not known yet."))

    def _fail(self, batch: list[Write], error: Exception) -> None:
        # Those in flight have this outcome; those that wait never began.
        self.open = False
        log.warning("slot lost", slot=self.slot.number, token=self.token, why=str(error))
        self._answer(batch, error)
        self._answer(self._queue, NotOwner(f"slot {self.slot.number}"))
        self._lost()

    @staticmethod
    def _answer(batch: list[Write], error: Exception) -> None:
        for write in batch:
            write.fail(error)


async def find_answer(connection: Connection, directory: Directory, write: Write) -> bytes | None:
    """Return the answer kept for a write's idempotency key, None when there is none.

    Raises Rejected when the key was used for another request.
    """
    cursor = await connection.execute(
        "select body_mac, answer from idempotency where tenant = %s and key = %s",
        [write.tenant, write.key], binary=True,
    )  # fmt: skip
    row = await cursor.fetchone()
    if row is None:
        return None
    if row[0] != write.mac:
        raise Rejected("conflict", "This idempotency key was used for another request.")
    return directory.unseal(write.answer_place, row[1])
