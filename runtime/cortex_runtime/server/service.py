"""What a node does for its callers: the use cases over the replica, the contents and the tenants."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass

import msgspec

from cortex_runtime.changelog.cluster import Member
from cortex_runtime.changelog.database import Database, Unavailable
from cortex_runtime.changelog.owner import NotOwner, OutcomeUnknown
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.changelog.plan import Rejected, Write
from cortex_runtime.changelog.replica import Replica
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.columns import Encoder
from cortex_runtime.config import NodeConfig
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import BatchResponse, ErrorResponse, Operation, Position
from cortex_runtime.security.audit import AuditBuffer, event
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.server.contents import Contents
from cortex_runtime.server.errors import RequestError
from cortex_runtime.server.forwarding import Forwarder, NotAnswered, NotReached
from cortex_runtime.server.identity import Identity
from cortex_runtime.server.metrics import Metrics
from cortex_runtime.server.requests import Request

DEADLINE = 5.0
RETRY_PAUSE = 0.03
POSITION_TIMEOUT = 1.0
CALL_TIMEOUT = 3.0
RENEWAL_PAUSE = 0.2


@dataclass(slots=True)
class Service:
    """The parts of a node that handlers work with."""

    config: NodeConfig
    directory: Directory
    replica: Replica
    contents: Contents
    encoder: Encoder
    primary: Database
    local: Database
    forwarder: Forwarder
    identity: Identity
    audit: AuditBuffer
    metrics: Metrics
    signing_key: bytes
    started: float
    renewed: float = float("-inf")

    async def write(self, request: Request, operations: list[Operation]) -> bytes:
        """Return the JSON of a BatchResponse once the operations are durable: all or none.

        Any node takes a write and passes it to the slot's owner. While there is no owner that answers,
        it is tried again: the idempotency key makes that safe.
        """
        tenant, cortex = request.names["tenant"], request.names["cortex"]
        slot = slot_of(tenant, cortex)
        key = request.idempotency_key or uuid.uuid4().hex
        deadline = time.monotonic() + DEADLINE
        sent = False
        while True:
            try:
                if slot in self.replica.owners:
                    write = self._write(request, cortex, operations, key)
                    answer = await self.replica.submit(slot, write)
                    self._count(answer)
                    return answer
                if (owner := self._owner(slot)) and not request.forwarded:
                    return await self._forward(request, owner, key)
            except (NotOwner, NotReached):
                pass
            except NotAnswered:
                sent = True
            except OutcomeUnknown as error:
                raise RequestError("outcome_unknown", UNKNOWN, reason=str(error)) from error
            except Rejected as error:
                raise _unless_sent(await self._refusal(slot, tenant, error), sent) from error
            except RequestError as error:
                raise _unless_sent(error, sent) from error
            if request.forwarded or time.monotonic() > deadline:
                if sent:
                    raise RequestError("outcome_unknown", UNKNOWN)
                raise RequestError("unavailable", "The owner of this cortex does not answer; try again.")
            await asyncio.sleep(RETRY_PAUSE)

    async def read_slot(self, request: Request, position: Position | None) -> Slot | bytes:
        """Return the slot to read from, at or after a position; or another node's answer.

        Raises RequestError: unavailable when neither this node nor the owner can serve the position.
        """
        number = slot_of(request.names["tenant"], request.names["cortex"])
        if position and position.slot != number:
            raise RequestError("invalid", "The position is of another cortex.")
        if number in self.replica.slots and await self._reached(number, position):
            return self.replica.slots[number]
        behind = RequestError("unavailable", "This node has not reached the position yet; try again.")
        return await self.ask_owner(request, number, behind)

    async def ask_owner(self, request: Request, slot: int, otherwise: RequestError) -> bytes:
        """Return the owner's answer to a read. Raises `otherwise` when there is nobody else to ask."""
        owner = self._owner(slot)
        if owner is None or request.forwarded:
            raise otherwise
        try:
            return await self._forward(request, owner, None)
        except (NotReached, NotAnswered) as error:
            raise RequestError("unavailable", "The owner does not answer.", reason=str(error)) from error

    async def renew_directory(self) -> bool:
        """Look in the primary whether tenants changed, at most five times a second; tell whether they had."""
        now = time.monotonic()
        if now - self.renewed < RENEWAL_PAUSE:
            return False
        self.renewed = now
        try:
            async with self.primary.connection(CALL_TIMEOUT) as connection:
                return await self.directory.refresh(connection)
        except Unavailable:
            return False

    def source(self, slot: Slot) -> Database:
        """Return a database that has what a slot's arrays have: the primary, unless ours has come as far."""
        behind = slot.number in self.replica.owners or slot.local_seq < slot.seq
        return self.primary if behind else self.local

    def position(self, slot: Slot) -> Position:
        """Return where a slot stands here."""
        return Position(slot=slot.number, token=slot.token, seq=slot.seq)

    def event(self, request: Request, result: str, reason: str | None = None) -> dict[str, str | None]:
        """Return the audit event of a request. Names that tenants gave appear as keyed hashes."""
        caller = request.caller
        return event(
            tenant=request.names.get("tenant") or caller.tenant or None, actor=caller.subject,
            session=caller.session, address=caller.address, agent=caller.agent, action=request.action,
            resource=self._resource(request), result=result, reason=reason, request_id=request.request_id,
        )  # fmt: skip

    def _resource(self, request: Request) -> str:
        names = request.names
        if "concept" in names:
            try:
                record = self.directory.record_id(names["tenant"], names["cortex"], names["concept"]).hex()
            except (UnknownKey, KeyringError, CannotOpen):
                record = "?"
            return f"{names['cortex']}/{record}"
        return names.get("cortex") or names.get("version") or request.path

    def _write(self, request: Request, cortex: str, operations: list[Operation], key: str) -> Write:
        body = framed(request.method, request.path, request.body)
        tenant = request.names["tenant"]
        return Write(
            tenant=tenant,
            cortex=cortex,
            operations=operations,
            key=hashlib.sha256(key.encode()).digest()[:16],
            mac=hmac.digest(self.directory.index_key(tenant), body, "sha256"),
            size=len(body),
            event=self.event(request, "done"),
            answer=asyncio.get_running_loop().create_future(),
        )

    def _owner(self, slot: int) -> Member | None:
        name = self.replica.owner_of(slot)
        if name is None or name == self.config.name:
            return None
        member = self.replica.view.members.get(name)
        return member if member and member.alive else None

    async def _forward(self, request: Request, owner: Member, key: str | None) -> bytes:
        status, body = await self.forwarder.forward(request, owner.address, key)
        if status < 300:
            return body
        try:
            error = msgspec.json.decode(body, type=ErrorResponse).error
        except ValueError:
            raise NotAnswered(f"{owner.name} answered {status}") from None
        if error.code == "unavailable":
            raise NotReached(error.message)
        raise RequestError(error.code, error.message, reason="as the owner answered")

    async def _refusal(self, slot: int, tenant: str, rejection: Rejected) -> RequestError:
        """Return a rejection with the names of all concepts in it."""
        message = str(rejection)
        stored = await self.contents.concepts(
            self.primary, self.replica.slots[slot], tenant, rejection.unnamed
        )
        for record in rejection.unnamed:
            name = repr(stored[record].entry.id) if record in stored else "(one that is not there yet)"
            message = message.replace(record.hex(), name)
        return RequestError(rejection.code, message, reason="a write that cannot be done")

    async def _reached(self, slot: int, position: Position | None) -> bool:
        if position is None:
            return True
        return await self.replica.wait_for(slot, position.token, position.seq, POSITION_TIMEOUT)

    def _count(self, answer: bytes) -> None:
        results = msgspec.json.decode(answer, type=BatchResponse).results
        self.metrics.allocations.add(sum(result.outcome in ("allocated", "joined") for result in results))


def _unless_sent(error: RequestError, sent: bool) -> RequestError:
    """Return the error, or that the outcome is unknown when an earlier attempt may have been done."""
    return RequestError("outcome_unknown", UNKNOWN) if sent and error.code != "conflict" else error


UNKNOWN = "Whether this was written is not known yet. Repeat it with the same Idempotency-Key."
