"""A long stream of operations, and what came out of it, which can be cut into batches of any size."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

import numpy as np

from cortex_runtime.columns import (
    INHERITS,
    Cortex,
    CortexSettings,
    Decisions,
    Delete,
    Operation,
    Put,
    Relate,
    Unrelate,
)
from unit.columns.worlds import ENCODER, identifier, tag, texts

_IDS = 1500
_AT_ONCE = 500
_KINDS = ("is a", "has", "knows")


def operations(count: int, *, seed: int = 1) -> Iterator[Operation]:
    """Puts of few and of many words, some of them again and again, deletes, relationships, tags."""
    chance = random.Random(seed)
    encodings = ENCODER.encode_many([*texts(400, length=4), *texts(300, seed=2, length=60)])
    for _ in range(count):
        number = chance.randrange(_IDS)
        what, other = chance.random(), identifier((7 * number + chance.randrange(3)) % _IDS)
        if what < 0.55:
            encoding = chance.choice(encodings)
            tags = tuple(sorted({tag(chance.randrange(9), chance.randrange(4)) for _ in range(3)}))
            tagged = chance.random() < 0.3
            yield Put(identifier(number), encoding.bits, encoding.words, tags if tagged else (), 384 * tagged)
        elif what < 0.7:
            yield Delete(identifier(number))
        elif what < 0.85:
            yield Relate(
                identifier(number), other, chance.choice(_KINDS), chance.random() or 1.0, pending=True
            )
        elif what < 0.95:
            yield Unrelate(identifier(number), other, chance.choice(_KINDS))
        elif number >= _IDS // 2:  # of two generations only
            parent = identifier(chance.randrange(_IDS // 2))
            yield Relate(identifier(number), parent, INHERITS, 1.0, pending=True)


class Recording:
    """Decisions of one stream, as one."""

    def __init__(self, count: int, settings: CortexSettings | None = None) -> None:
        cortex, batch, recorded = Cortex(settings), [], []
        for operation in operations(count):
            batch.append(operation)
            if len(batch) == _AT_ONCE:
                recorded.append(cortex.compete(batch)[1])
                cortex.apply(recorded[-1])
                batch = []
        self.digest = cortex.digest()
        self.whole = _joined(recorded)

    def batches(self, sizes: Iterable[int]) -> Iterator[Decisions]:
        """Yield all decisions, read from bytes, in batches of so many operations."""
        at, end = 0, self.whole.operations
        for size in sizes:
            yield Decisions.from_bytes(_cut(self.whole, at, min(at + size, end)).to_bytes())
            at += size
            if at >= end:
                return


def _joined(recorded: list[Decisions]) -> Decisions:
    types = tuple(dict.fromkeys(name for each in recorded for name in each.types))
    parts = [
        replace(
            each,
            **{name: getattr(each, name) + np.uint32(each.before) for name in _STEPS},
            edge_types=np.array([types.index(each.types[n]) for n in each.edge_types], dtype=np.uint16),
        )
        for each in recorded
    ]
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Decisions)
        if isinstance(getattr(parts[0], field.name), np.ndarray)
    }
    return Decisions(0, sum(each.operations for each in recorded), types=types, **arrays)


_STEPS = ("steps", "edge_steps", "trait_steps")


def _cut(whole: Decisions, start: int, end: int) -> Decisions:
    placed, related, described = (
        slice(*np.searchsorted(getattr(whole, name), (start, end), side="right").tolist()) for name in _STEPS
    )
    bits, tags = (
        slice(int(sizes[: part.start].sum()), int(sizes[: part.stop].sum()))
        for sizes, part in ((whole.sizes, placed), (whole.trait_sizes, described))
    )
    numbers = list(dict.fromkeys(whole.edge_types[related].tolist()))
    cut = {
        name: getattr(whole, name)[placed]
        for name in ("kinds", "ids", "columns", "words", "variant_of", "sizes")
    }
    cut |= {name: getattr(whole, name)[related] for name in ("edge_kinds", "sources", "targets", "weights")}
    cut |= {
        name: getattr(whole, name)[described] for name in ("trait_ids", "trait_dimensions", "trait_sizes")
    }
    for name, part in zip(_STEPS, (placed, related, described), strict=True):
        cut[name] = getattr(whole, name)[part] - np.uint32(start)
    edge_types = np.array([numbers.index(n) for n in whole.edge_types[related].tolist()], dtype=np.uint16)
    return Decisions(
        start, end - start, types=tuple(whole.types[number] for number in numbers), edge_types=edge_types,
        bits=whole.bits[bits], tags=whole.tags[tags], **cut,
    )  # fmt: skip
