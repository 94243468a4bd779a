"""Lines of the import format: what they hold, whether they are right, and how they make batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.messages import (
    MAX_BATCH,
    MAX_BODY_BYTES,
    PutOperation,
    Relationship,
)
from cortexctl.errors import UsageError

ENVELOPE_BYTES = len(b'{"operations":[]}')
MAX_LINE_BYTES = MAX_BODY_BYTES - ENVELOPE_BYTES - len(b'"op":"put",')
SHOWN = 10
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over the whole source found: its hash (SHA-256), concepts, relationships, bytes."""

    digest: str
    concepts: int
    relationships: int
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Operations that are applied together, or not at all. `line` is the first one's number, from 1."""

    index: int
    line: int
    operations: list[PutOperation]
    relationships: int

    def idempotency_key(self, run: str, tenant: str, cortex: str) -> str:
        """Return the key that names this batch of this run, whoever sends it and how often.

        The run is part of it, so that importing the same file again later is done again.
        """
        content = msgspec.json.encode(self.operations)
        name = framed("import", run, tenant, cortex, self.index, self.line, content)
        return hashlib.blake2b(name, digest_size=16).hexdigest()


@dataclass(slots=True)
class _Findings:
    bad: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, what: str) -> None:
        self.count += 1
        if len(self.bad) < SHOWN:
            self.bad.append(f"line {line}: {what}")


def survey(source: BinaryIO, name: str) -> Survey:
    """Read and check everything, from the beginning. Raises UsageError with the lines that are off."""
    source.seek(0)
    digest, findings = hashlib.sha256(), _Findings()
    seen: dict[bytes, int] = {}
    relationships = size = 0
    for number, raw in enumerate(source, start=1):
        digest.update(raw)
        size += len(raw)
        try:
            line = parse(raw, number)
        except ValueError as error:
            findings.add(number, str(error))
            continue
        if line is None:
            continue
        first = seen.setdefault(_short(line.id), number)
        if first != number:
            findings.add(number, f"the id {line.id!r} was in line {first} already")
        relationships += len(line.relationships)
    if findings.count:
        raise _bad(name, findings)
    if not seen:
        raise UsageError(f"{name} holds no concepts.", why="It is empty.", todo="See docs/import-format.md.")
    return Survey(digest.hexdigest(), len(seen), relationships, size)


def parse(raw: bytes, number: int) -> PutOperation | None:
    """Return a line's concept, None for a blank line. Raises ValueError with what is wrong."""
    if number == 1:
        raw = raw.removeprefix(BYTE_ORDER_MARK)
    if not raw.strip():
        return None
    try:
        line = _DECODER.decode(raw)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("its properties are nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    edges = {(edge.type, edge.target) for edge in line.relationships}
    if len(edges) < len(line.relationships):
        raise ValueError(f"a relationship is given twice: {_twice(line.relationships)}")
    if encoded_size(line) > MAX_BODY_BYTES - ENVELOPE_BYTES:
        raise ValueError(f"the concept has more than {MAX_LINE_BYTES:,} bytes, the most of a request")
    return line


def batches(source: BinaryIO, limit: int) -> Iterator[Batch]:
    """Yield a checked source's batches: up to `limit` operations and up to the most bytes of a request."""
    source.seek(0)
    operations: list[PutOperation] = []
    index = first = relationships = 0
    size = ENVELOPE_BYTES
    for number, operation in _concepts(source):
        length = encoded_size(operation) + 1
        if operations and (len(operations) == limit or size + length > MAX_BODY_BYTES):
            yield Batch(index, first, operations, relationships)
            operations, index, size, relationships = [], index + 1, ENVELOPE_BYTES, 0
        if not operations:
            first = number
        operations.append(operation)
        relationships += len(operation.relationships)
        size += length
    if operations:
        yield Batch(index, first, operations, relationships)


def encoded_size(operation: PutOperation) -> int:
    """Return the bytes an operation takes in a request."""
    return len(_ENCODER.encode(operation))


def check_limit(limit: int) -> int:
    """Return the operations a batch may have. Raises UsageError."""
    if 1 <= limit <= MAX_BATCH:
        return limit
    raise UsageError(
        f"A batch cannot have {limit} concepts.",
        why=f"1 to {MAX_BATCH} are possible.",
        todo="Give another --batch.",
    )


def _concepts(source: Iterable[bytes]) -> Iterator[tuple[int, PutOperation]]:
    for number, raw in enumerate(source, start=1):
        try:
            line = parse(raw, number)
        except ValueError as error:
            raise UsageError(
                "The file changed while it was imported.", why=f"line {number}: {error}",
                todo="Repeat the import with --restart when nothing writes to it any more.",
            ) from error  # fmt: skip
        if line is not None:
            yield number, line


def _twice(relationships: list[Relationship]) -> str:
    seen: set[tuple[str, str]] = set()
    for edge in relationships:
        if (edge.type, edge.target) in seen:
            return f"{edge.type} to {edge.target}"
        seen.add((edge.type, edge.target))
    return ""


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def _bad(name: str, findings: _Findings) -> UsageError:
    lines = "1 line is" if findings.count == 1 else f"{findings.count:,} lines are"
    more = f"; and {findings.count - SHOWN:,} more" if findings.count > SHOWN else ""
    return UsageError(
        f"{lines} off in {'standard input' if name == '-' else name}; nothing was imported.",
        why="; ".join(findings.bad) + more,
        todo="Mend the lines; docs/import-format.md has the format.",
    )


_DECODER = msgspec.json.Decoder(PutOperation)
_ENCODER = msgspec.json.Encoder()
