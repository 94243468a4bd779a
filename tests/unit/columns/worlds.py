"""Small worlds for the tests of the column engine: ids, texts, streams of operations, a full scan."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from hypothesis import strategies as st

from cortex_runtime.columns import (
    INHERITS,
    ConceptRecord,
    Cortex,
    CortexSettings,
    Decisions,
    Delete,
    Encoder,
    Operation,
    Outcome,
    Put,
    Relate,
    RelationshipRecord,
    Unrelate,
)
from cortex_runtime.columns.encoding import BITS
from cortex_runtime.columns.kernels import Kernels
from cortex_runtime.columns.model import KEY_SHIFT
from cortex_runtime.columns.search import weights_of

ENCODER = Encoder()
WORDS = [f"word{number}" for number in range(60)] + ["the", "of", "a", "or", "and", "person", "state"]
QUICK = CortexSettings(refractory=3)


def identifier(number: int) -> bytes:
    return number.to_bytes(16, "big")


def put(number: int, text: str, tags: tuple[int, ...] = (), dimension: int = 0) -> Put:
    encoding = ENCODER.encode(text)
    return Put(identifier(number), encoding.bits, encoding.words, tags, dimension)


def tag(key: int, value: int) -> int:
    return key << KEY_SHIFT | value


def inherit(child: int, parent: int, *, pending: bool = False) -> Relate:
    return Relate(identifier(child), identifier(parent), INHERITS, 1.0, pending)


def texts(count: int, *, seed: int = 1, vocabulary: int = 3000, length: int = 12) -> list[str]:
    """Texts whose words are as unequally common as words are."""
    chance = random.Random(seed)
    return [
        " ".join(f"w{int(chance.paretovariate(0.7)) % vocabulary}" for _ in range(chance.randint(1, length)))
        for _ in range(count)
    ]


def filled(
    count: int, *, settings: CortexSettings | None = None, seed: int = 1, kernels: Kernels | None = None
) -> Cortex:
    cortex = Cortex(settings, kernels)
    operations = [put(number, text) for number, text in enumerate(texts(count, seed=seed))]
    for start in range(0, count, 256):
        cortex.apply(cortex.compete(operations[start : start + 256])[1])
    return cortex


def texts_of_few_words() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def some_tags() -> st.SearchStrategy[tuple[int, ...]]:
    """Tags of few keys and few values, null among them."""
    each = st.builds(tag, st.integers(1, 3), st.integers(0, 2))
    return st.sets(each, max_size=4).map(lambda tags: tuple(sorted(tags)))


def streams(max_size: int = 40) -> st.SearchStrategy[list[Operation]]:
    """Mixed operations over few ids, words and tags, so that everything meets everything.

    Concepts inherit from lower numbers only, so that nothing is refused.
    """
    number = st.integers(0, 11)
    ids = number.map(identifier)
    relatives = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    kinds = st.sampled_from(["is a", "has"])
    operation = st.one_of(
        st.builds(put, number, texts_of_few_words()),
        st.builds(put, number, texts_of_few_words(), some_tags(), st.sampled_from([0, 0, 384])),
        st.builds(Delete, ids),
        st.builds(Relate, ids, ids, kinds, st.sampled_from([0.1, 0.5, 1.0]), st.just(True)),
        st.builds(Unrelate, ids, ids, kinds),
        relatives.map(lambda pair: inherit(pair[1], pair[0], pending=True)),
        relatives.map(lambda pair: Unrelate(identifier(pair[1]), identifier(pair[0]), INHERITS)),
    )
    return st.lists(operation, max_size=max_size)


def one_by_one(operations: Iterable[Operation], settings: CortexSettings) -> tuple[Cortex, list[Outcome]]:
    cortex, outcomes = Cortex(settings), []
    for operation in operations:
        outcome, decisions = cortex.compete([operation])
        cortex.apply(decisions)
        outcomes += outcome
    return cortex, outcomes


def everything_of(cortex: Cortex) -> bytes:
    """A hash of all that a cortex holds, but for the scratch of its searches and the hash it keeps."""
    state = blake2b()
    seen: set[int] = set()

    def add(value: object) -> None:
        if isinstance(value, np.ndarray):
            state.update(str((value.dtype, value.shape)).encode() + value.tobytes())
        elif isinstance(value, dict | list | tuple | set) or not hasattr(value, "__dict__"):
            state.update(repr(value).encode())
        elif id(value) not in seen:
            seen.add(id(value))
            for name, part in sorted(vars(value).items()):
                if name not in ("searcher", "spreading", "consolidation", "_digest", "kernels", "_kernels"):
                    state.update(name.encode())
                    add(part)

    add(cortex)
    return state.digest()


def arrays_of(cortex: Cortex) -> list[bytes]:
    """The bytes of all columns and concepts, and what is known of free columns.

    Not in which slot of the table of ids a row is: that depends on how many were entered at a time.
    """
    concepts = {name: part for name, part in cortex.concepts.state().items() if name != "slots"}
    concepts["first"] = concepts["first"][: cortex.free.watermark]
    rows = np.arange(concepts["ids"].shape[0])
    parts = [
        *cortex.arrays.state().values(), *concepts.values(), *cortex.free.state().values(),
        *cortex.properties.tags_by_row(rows), cortex.properties.dimensions_of(rows), cortex.recent_wins,
        cortex.columns, cortex.operations, cortex.concepts.placed,
    ]  # fmt: skip
    assert cortex.arrays.state()["states"].size == cortex.free.watermark
    return [np.asarray(part).tobytes() for part in parts]


def plain(outcome: Outcome) -> tuple[object, ...]:
    """An outcome as values that can be compared."""
    record = outcome.record
    stored = record and (
        record.column,
        record.bits.tobytes(),
        record.words,
        record.operation,
        record.variant_of,
        record.tags,
        record.dimension,
    )
    kinds = (outcome.kind, outcome.operation, outcome.column, outcome.overlap, outcome.variant_of)
    return (*kinds, outcome.winners, outcome.replaced, stored)


class Stored:
    """What a database would hold: a record a concept, a row a relationship."""

    def __init__(self) -> None:
        self.concepts: dict[bytes, ConceptRecord] = {}
        self.relationships: dict[tuple[bytes, bytes, str], float] = {}

    def store(self, operations: Sequence[Operation], outcomes: Sequence[Outcome]) -> None:
        for operation, outcome in zip(operations, outcomes, strict=True):
            if outcome.kind == "absent":
                continue
            if isinstance(operation, Put):
                assert outcome.record is not None
                self.concepts[operation.id] = outcome.record
            elif isinstance(operation, Delete):
                del self.concepts[operation.id]
                self.relationships = {
                    edge: weight
                    for edge, weight in self.relationships.items()
                    if operation.id not in edge[:2]
                }
            elif isinstance(operation, Relate):
                edge = operation.source, operation.target, operation.type
                self.relationships[edge] = operation.weight
                if outcome.replaced is not None:
                    del self.relationships[operation.source, outcome.replaced, operation.type]
            else:
                del self.relationships[operation.source, operation.target, operation.type]

    def restore(self, settings: CortexSettings, operations: int, kernels: Kernels | None = None) -> Cortex:
        edges = [RelationshipRecord(*edge, weight) for edge, weight in self.relationships.items()]
        return Cortex.restore(settings, operations, list(self.concepts.values()), edges, kernels)


def copied(decisions: Decisions) -> Decisions:
    return Decisions.from_bytes(decisions.to_bytes())


def full_scan(cortex: Cortex, bits: np.ndarray, limit: int, floor: int = 1) -> list[tuple[int, int]]:
    """The best (column, shared weight) by looking at every column."""
    used = np.flatnonzero(cortex.arrays.concepts)
    table = np.zeros(BITS, dtype=np.int64)
    table[bits] = weights_of(bits, cortex.postings.counts[bits], cortex.columns)
    scores = table[cortex.arrays.bits[used]].sum(axis=1)
    words = cortex.arrays.words[used].tolist()
    ranked = sorted(zip((-scores).tolist(), words, used.tolist(), strict=True))
    return [(column, -score) for score, _, column in ranked if -score >= floor][:limit]
