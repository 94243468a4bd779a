"""What a node does for its callers: the use cases over the replica, the contents and the tenants."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from cortex_runtime.changelog.cluster import Member
from cortex_runtime.changelog.database import Database, Unavailable
from cortex_runtime.changelog.owner import NotOwner, OutcomeUnknown
from cortex_runtime.changelog.placement import slot_of
from cortex_runtime.changelog.plan import Rejected, Write
from cortex_runtime.changelog.replica import Replica
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.changelog.snapshots import Snapshots
from cortex_runtime.columns import Encoder
from cortex_runtime.config import NodeConfig
from cortex_runtime.formats.audit import Event
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import BatchResponse, EraseOperation, ErrorResponse, Operation, Position
from cortex_runtime.security.audit import AuditLog, Pseudonyms, event
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.security.oidc import Oidc
from cortex_runtime.security.rbac import Rbac
from cortex_runtime.security.tokenkeys import TokenKeyFile
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
RECORD_BYTES = 8  # of a concept's keyed hash, in the audit log: enough to tell a tenant's concepts apart


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
    audit: AuditLog
    pseudonyms: Pseudonyms
    metrics: Metrics
    token_keys: TokenKeyFile
    operator_keys: TokenKeyFile
    snapshots: Snapshots
    rbac: Rbac
    oidc: Oidc
    started: float
    renewed: float = float("-inf")
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, request: Request, operations: Sequence[Operation | EraseOperation]) -> bytes:
        """Return the JSON of a BatchResponse once the operations are durable: all or none.

        Any node takes a write and passes it to the slot's owner. While there is no owner that answers,
        it is tried again: the idempotency key makes that safe.
        """
        tenant, cortex = request.names["tenant"], request.names["cortex"]
        self.directory.check_open(tenant)
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
        self.directory.check_open(request.names["tenant"])
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
        """Look in the primary for tenants as they are now; tell whether they may have changed.

        At most five times a second: whoever comes in between waits for his turn, or for another's.
        """
        asked, version = time.monotonic(), self.directory.version
        await asyncio.sleep(max(0.0, self.renewed + RENEWAL_PAUSE - asked))
        async with self.renewing:
            if self.renewed < asked:
                self.renewed = time.monotonic()
                with suppress(Unavailable):
                    async with self.primary.connection(CALL_TIMEOUT) as connection:
                        await self.directory.refresh(connection)
        return self.directory.version != version

    def source(self, slot: Slot) -> Database:
        """Return a database that has what a slot's arrays have: the primary, unless ours has come as far."""
        behind = slot.number in self.replica.owners or slot.local_seq < slot.seq
        return self.primary if behind else self.local

    def position(self, slot: Slot) -> Position:
        """Return where a slot stands here."""
        return Position(slot=slot.number, token=slot.token, seq=slot.seq)

    def event(self, request: Request, result: str, reason: str | None = None) -> Event:
        """Return the audit event of a request. Persons, and what tenants named, appear as keyed hashes."""
        caller = request.caller
        tenant = request.names.get("tenant") or caller.tenant
        return event(
            tenant=tenant, actor=self.pseudonyms.of(caller.subject, tenant), session=caller.session,
            ip=caller.address, user_agent=caller.agent, action=request.action,
            resource=self._resource(request), result=result, reason=reason, request_id=request.request_id,
        )  # fmt: skip

    def _resource(self, request: Request) -> str:
        names = request.names
        if "concept" in names:
            try:
                record = self.directory.record_id(names["tenant"], names["cortex"], names["concept"])
                return f"{names['cortex']}/{record[:RECORD_BYTES].hex()}"
            except (UnknownKey, KeyringError, CannotOpen):
                return f"{names['cortex']}/?"
        if "log" in names:
            return f"audit/{names['log']}"
        return names.get("cortex") or names.get("version") or request.path

    def _write(
        self, request: Request, cortex: str, operations: Sequence[Operation | EraseOperation], key: str
    ) -> Write:
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
