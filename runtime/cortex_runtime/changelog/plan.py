"""What one append will do: the writes compete, and what comes out is sealed into rows.

Nothing is changed here: the plan becomes true when the database has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
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
    INHERITS,
    Competition,
    CycleError,
    Delete,
    Encoder,
    Encoding,
    InvalidOperationError,
    NothingToEncodeError,
    Outcome,
    Put,
    Relate,
    TextTooLongError,
    Unrelate,
    VectorError,
    tags_of,
)
from cortex_runtime.formats.audit import Event, pack
from cortex_runtime.formats.messages import (
    BatchResponse,
    DeleteOperation,
    EraseOperation,
    Operation,
    OperationResult,
    Position,
    PutOperation,
    RelateOperation,
    UnrelateOperation,
    encode,
)
from cortex_runtime.security import audit
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.envelope import Place, key_version_of
from cortex_runtime.server.errors import code_of

SLICE = 0.004
MAX_REJECTED = 16  # in one plan: forgetting what a rejected write did costs as much as all that was planned
ENCODER = Encoder()


_Encoded = tuple[Operation | EraseOperation, Encoding | None]


class Rejected(Exception):
    """A write that cannot be done, by its own fault; `code` is the API's.

    `unnamed`: record ids that the message has in hexadecimal, for want of the concepts' names.
    """

    def __init__(self, code: str, message: str, unnamed: tuple[bytes, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.unnamed = code, unnamed


@dataclass(eq=False, slots=True)
class Write:
    """A client's write: its operations are done in order, all or none."""

    tenant: str
    cortex: str
    operations: Sequence[Operation | EraseOperation]
    key: bytes
    mac: bytes
    size: int
    event: Event
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
    columns: int
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
    erased: set[tuple[str, bytes]] = field(default_factory=set)  # of the deleted: they leave tombstones
    unrelated: dict[tuple[str, bytes], str] = field(default_factory=dict)
    answers: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    sealed_answers: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    statement = (
        "select append(%s::smallint, %s, %s, %s, %s, %s::text[], %s::text[], %s::bigint[], %s::int[],"
        " %s::bytea[], %s,"
        " %s::int[], %s::bytea[], %s::int[], %s::bigint[], %s::bytea[], %s::int[], %s::bytea[], %s::bytea[],"
        " %s::int[], %s::bytea[], %s::boolean[], %s::int[], %s::bytea[],"
        " %s::text[], %s::bytea[], %s::bytea[], %s::bytea[], %s)"
    )

    def parameters(self, node: str) -> list[Any]:
        """Return the parameters of `statement`."""
        c, r = list(self.concepts.items()), list(self.relationships.items())
        dc, dr = list(self.deleted.items()), list(self.unrelated.items())
        number = {(change.tenant, change.cortex): index for index, change in enumerate(self.changes, 1)}
        kept = [(write, self.sealed_answers[write.tenant, write.key]) for write in self.writes]
        versions = {(key[0], key_version_of(row.entry)) for key, row in c}
        versions |= {(key[0], key_version_of(row.entry)) for key, row in r}
        versions |= {(change.tenant, key_version_of(change.sealed)) for change in self.changes}
        versions |= {(write.tenant, key_version_of(answer)) for write, answer in kept}
        return [
            self.slot.number, node, self.token, self.slot.seq, self.slot.digest,
            [x.tenant for x in self.changes], [x.cortex for x in self.changes],
            [x.operations for x in self.changes], [x.columns for x in self.changes],
            [x.sealed for x in self.changes],
            Jsonb([{"tenant": tenant, "version": version} for tenant, version in sorted(versions)]),
            [number[k[0], v.cortex] for k, v in c], [k[1] for k, _ in c], [v.column for _, v in c],
            [v.operation for _, v in c], [v.entry for _, v in c],
            [number[k[0], v.cortex] for k, v in r], [k[1] for k, _ in r], [v.entry for _, v in r],
            [number[k[0], v] for k, v in dc], [k[1] for k, _ in dc],
            [k in self.erased for k, _ in dc],
            [number[k[0], v] for k, v in dr], [k[1] for k, _ in dr],
            [write.tenant for write, _ in kept], [write.key for write, _ in kept],
            [write.mac for write, _ in kept], [answer for _, answer in kept],
            audit.rows(pack(node, [write.event for write in self.writes])),
        ]  # fmt: skip


async def prepare(slot: Slot, token: int, writes: list[Write], directory: Directory) -> Plan:
    """Let writes compete in their order, and return the plan. Raises UnknownKey or KeyringError.

    Yields to the event loop every few milliseconds; the slot must not move meanwhile. The last writes may be
    left for the next plan.
    """
    plan, pace = Plan(slot, token), _Pace()
    planners: dict[tuple[str, str], _Planner] = {}
    results: dict[tuple[str, bytes], list[OperationResult]] = {}
    for write in writes:
        place = write.tenant, write.cortex
        if place not in planners:
            planners[place] = _Planner(plan, *place, directory, pace)
        try:
            results[write.tenant, write.key] = await planners[place].add(await _encode(write, pace))
        except Rejected as rejection:
            plan.rejected.append((write, rejection))
            if len(plan.rejected) == MAX_REJECTED:
                break
        else:
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


class _Pace:
    """Lets others have their turn every few milliseconds."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE

    async def breathe(self) -> None:
        """Yield to the event loop once it is time to."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE


async def _encode(write: Write, pace: _Pace) -> list[_Encoded]:
    """Encode what is put. Raises Rejected."""
    encoded: list[_Encoded] = []
    for operation in write.operations:
        encoded.append((operation, _encoding(operation) if isinstance(operation, PutOperation) else None))
        await pace.breathe()
    return encoded


def _encoding(operation: PutOperation) -> Encoding:
    try:
        msgspec.msgpack.encode(operation.properties)
    except OverflowError:
        raise Rejected("invalid", f"A number in the properties of {operation.id!r} is too large.") from None
    try:
        if operation.vector is not None:
            return ENCODER.encode_vector(operation.vector)
        return ENCODER.encode(operation.text or "")
    except (NothingToEncodeError, TextTooLongError, VectorError) as error:
        raise Rejected("invalid", f"Concept {operation.id!r} cannot be encoded: {error}") from error


class _Planner:
    """Plans the writes to one cortex."""

    def __init__(self, plan: Plan, tenant: str, cortex: str, directory: Directory, pace: _Pace) -> None:
        self._plan, self._tenant, self._cortex, self._directory = plan, tenant, cortex, directory
        self._pace = pace
        self._competition = Competition(plan.slot.cortex(tenant, cortex))
        self._touched: dict[bytes, None] = {}
        self._names: dict[tuple[str, str], bytes] = {}

    async def add(self, encoded: list[_Encoded]) -> list[OperationResult]:
        """Let one write's operations compete, and seal what they make; all of them, or none.

        Raises Rejected, and all is as if the write had not been tried.
        """
        mark = self._competition.mark()
        outcomes = []
        try:
            for operation, encoding in encoded:
                outcomes.append(self._compete(operation, encoding))
                await self._pace.breathe()
        except (InvalidOperationError, Rejected) as error:
            self._competition.rollback(mark)
            raise self._rejection(error) from error
        results = []
        for (operation, _), outcome in zip(encoded, outcomes, strict=True):
            results.append(self._keep(operation, outcome))
            await self._pace.breathe()
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
        plan.changes.append(
            PlannedChange(
                seq, self._tenant, self._cortex, operations, self._competition.columns, entry, sealed, digest
            )
        )
        return digest

    def _compete(self, operation: Operation | EraseOperation, encoding: Encoding | None) -> list[Outcome]:
        """Return an operation's outcome, and after that of a put those of its relationships.

        Raises InvalidOperationError or Rejected.
        """
        if isinstance(operation, PutOperation):
            assert encoding is not None
            put = Put(
                id=self._record(operation.id), bits=encoding.bits, words=encoding.words,
                tags=tags_of(operation.properties), dimension=encoding.dimension,
            )  # fmt: skip
            edges = [self._relate(*edge) for edge in _edges_of(operation)]
            return [self._competition.add(put), *map(self._competition.add, edges)]
        if isinstance(operation, DeleteOperation | EraseOperation):
            return [self._competition.add(Delete(id=self._record(operation.id)))]
        if isinstance(operation, UnrelateOperation):
            source, target = self._record(operation.source), self._record(operation.target)
            return [self._competition.add(Unrelate(source=source, target=target, type=operation.type))]
        outcome = self._competition.add(
            self._relate(operation.source, operation.type, operation.target, operation.weight)
        )
        if outcome.kind == "absent":
            raise Rejected("not_found", f"There is no concept {operation.source!r} to relate from.")
        return [outcome]

    def _relate(self, source: str, type_: str, target: str, weight: float) -> Relate:
        return Relate(
            source=self._record(source), target=self._record(target), type=type_, weight=weight, pending=True
        )

    def _rejection(self, error: InvalidOperationError | Rejected) -> Rejected:
        """Return why a write is rejected, by the concepts' names, as far as the writes have them."""
        if isinstance(error, Rejected):
            return error
        message, unnamed = str(error), error.chain if isinstance(error, CycleError) else ()
        for (kind, name), record in self._names.items():
            if kind == self._cortex and record.hex() in message:
                message = message.replace(record.hex(), repr(name))
                unnamed = tuple(each for each in unnamed if each != record)
        return Rejected(code_of(error) or "invalid", message, unnamed)

    def _keep(self, operation: Operation | EraseOperation, outcomes: list[Outcome]) -> OperationResult:
        """Put into the plan what an operation makes."""
        outcome, *others = outcomes
        if isinstance(operation, PutOperation):
            self._keep_concept(operation, outcome)
            for edge, each in zip(_edges_of(operation), others, strict=True):
                self._keep_relationship(*edge, replaced=each.replaced)
            return _result(operation.id, outcome)
        if isinstance(operation, DeleteOperation | EraseOperation):
            self._delete(self._record(operation.id), erased=isinstance(operation, EraseOperation))
            return _result(operation.id, outcome)
        if isinstance(operation, RelateOperation):
            edge = operation.source, operation.type, operation.target, operation.weight
            self._keep_relationship(*edge, replaced=outcome.replaced)
        else:
            self._unrelate(self._edge(operation.source, operation.type, self._record(operation.target)))
        return _result(operation.source, outcome)

    def _keep_concept(self, operation: PutOperation, outcome: Outcome) -> None:
        placed = outcome.record
        assert placed is not None
        entry = ConceptEntry(
            operation.id, operation.text, operation.properties, placed.column, placed.operation,
            placed.bits.astype("<u2").tobytes(), placed.words, placed.variant_of, placed.dimension,
        )  # fmt: skip
        sealed = self._directory.seal(
            concept_place(self._tenant, placed.id, outcome.operation), msgspec.msgpack.encode(entry)
        )
        self._touched[placed.id] = None
        row = ConceptRow(self._cortex, placed.column, outcome.operation, sealed)
        self._plan.concepts[self._tenant, placed.id] = row

    def _delete(self, record: bytes, *, erased: bool) -> None:
        plan, tenant = self._plan, self._tenant
        if erased:
            plan.erased.add((tenant, record))
        self._touched[record] = None
        plan.concepts.pop((tenant, record), None)
        plan.deleted[tenant, record] = self._cortex
        for key in [k for k in plan.relationships if k[0] == tenant and record in (k[1][:16], k[1][32:])]:
            del plan.relationships[key]

    def _keep_relationship(
        self, source: str, type_: str, target: str, weight: float, *, replaced: bytes | None
    ) -> None:
        if replaced is not None:
            self._unrelate(self._edge(source, type_, replaced))
        edge = self._edge(source, type_, self._record(target))
        plain = msgspec.msgpack.encode(RelationshipEntry(source, type_, target, weight))
        sealed = self._directory.seal(relationship_place(self._tenant, edge), plain)
        self._plan.relationships[self._tenant, edge] = RelationshipRow(self._cortex, sealed)
        self._plan.unrelated.pop((self._tenant, edge), None)

    def _unrelate(self, edge: bytes) -> None:
        self._plan.relationships.pop((self._tenant, edge), None)
        self._plan.unrelated[self._tenant, edge] = self._cortex

    def _edge(self, source: str, type_: str, target: bytes) -> bytes:
        return self._record(source) + self._named(f"{self._cortex}/type", type_) + target

    def _record(self, name: str) -> bytes:
        return self._named(self._cortex, name)

    def _named(self, kind: str, name: str) -> bytes:
        found = self._names.get((kind, name))
        if found is None:
            found = self._names[kind, name] = self._directory.record_id(self._tenant, kind, name)
        return found


def _edges_of(operation: PutOperation) -> list[tuple[str, str, str, float]]:
    """Return the relationships that a put adds, as source, type, target and weight."""
    edges = [(operation.id, each.type, each.target, each.weight) for each in operation.relationships]
    if operation.parent is not None:
        edges.append((operation.id, INHERITS, operation.parent, 1.0))
    return edges


def _result(name: str, outcome: Outcome) -> OperationResult:
    return OperationResult(
        id=name, outcome=outcome.kind, column=outcome.column, overlap=outcome.overlap,
        variant_of=outcome.variant_of if outcome.variant_of >= 0 else None,
    )  # fmt: skip
