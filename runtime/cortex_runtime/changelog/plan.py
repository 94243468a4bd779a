"""What one append will do: the writes compete, and what comes out is sealed into rows.

Nothing is changed here: the plan becomes true when the database has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from cortex_runtime.changelog.entries import (
    ChangeEntry,
    ConceptEntry,
    RelationshipEntry,
    answer_place,
    change_place,
    concept_place,
    relationship_place,
)
from cortex_runtime.changelog.slots import Slot
from cortex_runtime.columns import (
    Competition,
    Delete,
    Encoder,
    Encoding,
    NothingToEncodeError,
    Outcome,
    Put,
    Relate,
    Unrelate,
)
from cortex_runtime.formats.messages import (
    BatchResponse,
    DeleteOperation,
    Operation,
    OperationResult,
    Position,
    PutOperation,
    RelateOperation,
    encode,
)
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.envelope import Place, key_version_of

SLICE = 0.004
ENCODER = Encoder()


class Rejected(Exception):
    """A write that cannot be done, by its own fault; `code` is the API's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(eq=False, slots=True)
class Write:
    """A client's write: its operations are done in order, all or none."""

    tenant: str
    cortex: str
    operations: list[Operation]
    key: bytes
    mac: bytes
    size: int
    event: dict[str, str | None]
    answer: asyncio.Future[bytes]

    @property
    def answer_place(self) -> Place:
        """Return where its kept answer stands."""
        return answer_place(self.tenant, self.key)

    def succeed(self, answer: bytes) -> None:
        """Settle it, unless its client has gone."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Settle it with an error, unless its client has gone."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True)
class PlannedChange:
    """A row of the log that the append will make."""

    seq: int
    tenant: str
    cortex: str
    operations: int
    entry: ChangeEntry
    sealed: bytes
    digest: bytes


class ConceptRow(NamedTuple):
    """A row of the table `concept`; `operation` is the version of the sealed `entry`."""

    cortex: str
    column: int
    operation: int
    entry: bytes


class RelationshipRow(NamedTuple):
    """A row of the table `relationship`."""

    cortex: str
    entry: bytes


@dataclass(slots=True)
class Plan:
    """All parameters of one append."""

    slot: Slot
    token: int
    writes: list[Write] = field(default_factory=list)
    rejected: list[tuple[Write, Rejected]] = field(default_factory=list)
    changes: list[PlannedChange] = field(default_factory=list)
    concepts: dict[tuple[str, bytes], ConceptRow] = field(default_factory=dict)
    relationships: dict[tuple[str, bytes], RelationshipRow] = field(default_factory=dict)
    deleted: dict[tuple[str, bytes], str] = field(default_factory=dict)
    unrelated: dict[tuple[str, bytes], str] = field(default_factory=dict)
    answers: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    sealed_answers: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    statement = (
        "select append(%s::smallint, %s, %s, %s, %s, %s::text[], %s::text[], %s::bigint[], %s::bytea[], %s,"
        " %s::int[], %s::bytea[], %s::int[], %s::bigint[], %s::bytea[], %s::int[], %s::bytea[], %s::bytea[],"
        " %s::int[], %s::bytea[], %s::int[], %s::bytea[],"
        " %s::text[], %s::bytea[], %s::bytea[], %s::bytea[], %s)"
    )

    def parameters(self, node: str) -> list[Any]:
        """Return the parameters of `statement`."""
        c, r = list(self.concepts.items()), list(self.relationships.items())
        dc, dr = list(self.deleted.items()), list(self.unrelated.items())
        number = {(change.tenant, change.cortex): index for index, change in enumerate(self.changes, 1)}
        versions = {(key[0], key_version_of(row.entry)) for key, row in c}
        versions |= {(key[0], key_version_of(row.entry)) for key, row in r}
        kept = [(write, self.sealed_answers[write.tenant, write.key]) for write in self.writes]
        return [
            self.slot.number, node, self.token, self.slot.seq, self.slot.digest,
            [x.tenant for x in self.changes], [x.cortex for x in self.changes],
            [x.operations for x in self.changes], [x.sealed for x in self.changes],
            Jsonb([{"tenant": tenant, "version": version} for tenant, version in sorted(versions)]),
            [number[k[0], v.cortex] for k, v in c], [k[1] for k, _ in c], [v.column for _, v in c],
            [v.operation for _, v in c], [v.entry for _, v in c],
            [number[k[0], v.cortex] for k, v in r], [k[1] for k, _ in r], [v.entry for _, v in r],
            [number[k[0], v] for k, v in dc], [k[1] for k, _ in dc],
            [number[k[0], v] for k, v in dr], [k[1] for k, _ in dr],
            [write.tenant for write, _ in kept], [write.key for write, _ in kept],
            [write.mac for write, _ in kept], [answer for _, answer in kept],
            Jsonb([write.event for write in self.writes]),
        ]  # fmt: skip


async def prepare(slot: Slot, token: int, writes: list[Write], directory: Directory) -> Plan:
    """Let writes compete in their order, and return the plan. Raises UnknownKey or KeyringError.

    Yields to the event loop every few milliseconds; the slot must not move meanwhile.
    """
    plan = Plan(slot, token)
    planners: dict[tuple[str, str], _Planner] = {}
    results: dict[tuple[str, bytes], list[OperationResult]] = {}
    for write in writes:
        place = write.tenant, write.cortex
        if place not in planners:
            planners[place] = _Planner(plan, *place, directory)
        try:
            encoded = await _encode(write)
            planners[place].check(write)
        except Rejected as rejection:
            plan.rejected.append((write, rejection))
        else:
            results[write.tenant, write.key] = await planners[place].add(encoded)
            plan.writes.append(write)
    used = {(write.tenant, write.cortex) for write in plan.writes}
    digest = slot.digest
    for place in sorted(used):
        digest = planners[place].finish(digest)
    end = Position(slot=slot.number, token=token, seq=slot.seq + len(plan.changes))
    for write in plan.writes:
        identity = write.tenant, write.key
        plan.answers[identity] = encode(BatchResponse(results=results[identity], position=end))
        plan.sealed_answers[identity] = directory.seal(write.answer_place, plan.answers[identity])
    return plan


async def _encode(write: Write) -> list[tuple[Operation, Encoding | None]]:
    """Encode what is put. Raises Rejected."""
    encoded: list[tuple[Operation, Encoding | None]] = []
    pause = time.perf_counter() + SLICE
    for operation in write.operations:
        encoded.append((operation, _encoding(operation) if isinstance(operation, PutOperation) else None))
        if time.perf_counter() > pause:
            await asyncio.sleep(0)
            pause = time.perf_counter() + SLICE
    return encoded


def _encoding(operation: PutOperation) -> Encoding:
    try:
        msgspec.msgpack.encode(operation.properties)
    except OverflowError:
        raise Rejected("invalid", f"A number in the properties of {operation.id!r} is too large.") from None
    try:
        return ENCODER.encode(operation.text)
    except NothingToEncodeError as error:
        raise Rejected("invalid", f"The text of {operation.id!r} cannot be encoded: {error}.") from error


class _Planner:
    """Plans the writes to one cortex."""

    def __init__(self, plan: Plan, tenant: str, cortex: str, directory: Directory) -> None:
        self._plan, self._tenant, self._cortex, self._directory = plan, tenant, cortex, directory
        self._competition = Competition(plan.slot.cortex(tenant, cortex))
        self._touched: dict[bytes, None] = {}
        self._names: dict[tuple[str, str], bytes] = {}

    def check(self, write: Write) -> None:
        """Refuse a write that relates from a concept which is not there. Raises Rejected."""
        here: dict[str, bool] = {}
        for operation in write.operations:
            if isinstance(operation, PutOperation | DeleteOperation):
                here[operation.id] = isinstance(operation, PutOperation)
            elif isinstance(operation, RelateOperation):
                source = operation.source
                if not here.get(source, self._record(source) in self._competition):
                    raise Rejected("not_found", f"There is no concept {source!r} to relate from.")

    async def add(self, encoded: list[tuple[Operation, Any]]) -> list[OperationResult]:
        """Let one write's operations compete, and seal what they make."""
        results = []
        pause = time.perf_counter() + SLICE
        for operation, encoding in encoded:
            if isinstance(operation, PutOperation):
                results.append(self._put(operation, encoding))
            elif isinstance(operation, DeleteOperation):
                results.append(self._delete(operation))
            elif isinstance(operation, RelateOperation):
                results.append(
                    self._relate(operation.source, operation.type, operation.target, operation.weight)
                )
            else:
                results.append(self._unrelate(operation.source, operation.type, operation.target))
            if time.perf_counter() > pause:
                await asyncio.sleep(0)
                pause = time.perf_counter() + SLICE
        return results

    def finish(self, digest: bytes) -> bytes:
        """Add the cortex' change to the plan, behind the log's `digest`, and return the digest after it."""
        plan, slot = self._plan, self._plan.slot
        seq = slot.seq + len(plan.changes) + 1
        decisions = self._competition.decisions()
        operations = decisions.before + decisions.operations
        entry = ChangeEntry(decisions.to_bytes(), list(self._touched))
        place = change_place(self._tenant, self._cortex, slot.number, seq)
        sealed = self._directory.seal(place, msgspec.msgpack.encode(entry))
        digest = hashlib.sha256(digest + sealed).digest()
        plan.changes.append(PlannedChange(seq, self._tenant, self._cortex, operations, entry, sealed, digest))
        return digest

    def _put(self, operation: PutOperation, encoding: Any) -> OperationResult:
        record = self._record(operation.id)
        outcome = self._competition.add(Put(id=record, bits=encoding.bits, words=encoding.words))
        placed = outcome.record
        assert placed is not None
        entry = ConceptEntry(
            operation.id, operation.text, operation.properties, placed.column, placed.operation,
            placed.bits.astype("<u2").tobytes(), placed.words, placed.variant_of,
        )  # fmt: skip
        sealed = self._directory.seal(
            concept_place(self._tenant, record, outcome.operation), msgspec.msgpack.encode(entry)
        )
        self._touched[record] = None
        row = ConceptRow(self._cortex, placed.column, outcome.operation, sealed)
        self._plan.concepts[self._tenant, record] = row
        for edge in operation.relationships:
            self._relate(operation.id, edge.type, edge.target, edge.weight)
        return _result(operation.id, outcome)

    def _delete(self, operation: DeleteOperation) -> OperationResult:
        record = self._record(operation.id)
        outcome = self._competition.add(Delete(id=record))
        plan, tenant = self._plan, self._tenant
        self._touched[record] = None
        plan.concepts.pop((tenant, record), None)
        plan.deleted[tenant, record] = self._cortex
        for key in [k for k in plan.relationships if k[0] == tenant and record in (k[1][:16], k[1][32:])]:
            del plan.relationships[key]
        return _result(operation.id, outcome)

    def _relate(self, source: str, type_: str, target: str, weight: float) -> OperationResult:
        source_record, target_record = self._record(source), self._record(target)
        outcome = self._competition.add(
            Relate(source=source_record, target=target_record, type=type_, weight=weight, pending=True)
        )
        edge = self._edge(source_record, type_, target_record)
        plain = msgspec.msgpack.encode(RelationshipEntry(source, type_, target, weight))
        sealed = self._directory.seal(relationship_place(self._tenant, edge), plain)
        self._plan.relationships[self._tenant, edge] = RelationshipRow(self._cortex, sealed)
        self._plan.unrelated.pop((self._tenant, edge), None)
        if outcome.replaced is not None:
            before = self._edge(source_record, type_, outcome.replaced)
            self._plan.relationships.pop((self._tenant, before), None)
            self._plan.unrelated[self._tenant, before] = self._cortex
        return _result(source, outcome)

    def _unrelate(self, source: str, type_: str, target: str) -> OperationResult:
        source_record, target_record = self._record(source), self._record(target)
        outcome = self._competition.add(Unrelate(source=source_record, target=target_record, type=type_))
        edge = self._edge(source_record, type_, target_record)
        self._plan.relationships.pop((self._tenant, edge), None)
        self._plan.unrelated[self._tenant, edge] = self._cortex
        return _result(source, outcome)

    def _edge(self, source: bytes, type_: str, target: bytes) -> bytes:
        return source + self._named(f"{self._cortex}/type", type_) + target

    def _record(self, name: str) -> bytes:
        return self._named(self._cortex, name)

    def _named(self, kind: str, name: str) -> bytes:
        found = self._names.get((kind, name))
        if found is None:
            found = self._names[kind, name] = self._directory.record_id(self._tenant, kind, name)
        return found


def _result(name: str, outcome: Outcome) -> OperationResult:
    return OperationResult(
        id=name, outcome=outcome.kind, column=outcome.column, overlap=outcome.overlap,
        variant_of=outcome.variant_of if outcome.variant_of >= 0 else None,
    )  # fmt: skip
