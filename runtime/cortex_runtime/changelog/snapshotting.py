"""Writes snapshots of what a node holds: in the background, one at a time, when enough has changed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from cortex_runtime.changelog.slots import Slot
from cortex_runtime.changelog.snapshotfile import Origin, WritingStopped
from cortex_runtime.changelog.snapshots import Key, Name, Snapshots
from cortex_runtime.columns import Cortex
from cortex_runtime.columns.snapshot import Image

LOOK_PERIOD = 15.0
SMALLEST = 2_000  # concepts; fewer are read from the tables as quickly
LEAST_PAUSE = 60.0  # seconds between two attempts of the same cortex
OFTEN = 600.0  # seconds after which any change is worth one
MANY, MANY_SHARE = 10_000, 0.25  # operations, or of the concepts, that are worth one before
STALE = 6 * 3600.0  # seconds after which other cortices' changes are, so that the log reaches back to it
SWEEP_PERIOD = 3600.0
log = structlog.get_logger()


class Holding(Protocol):
    """What is held here: the Replica."""

    slots: dict[int, Slot]

    @property
    def left(self) -> frozenset[str]:
        """The tenants that have left."""

    @property
    def ready(self) -> bool:
        """True once everything is here that should be."""

    def is_first_holder(self, slot: int) -> bool:
        """Tell whether this node is its region's first for a slot."""


class Snapshotting:
    """The background task, and the snapshots at the node's end."""

    def __init__(
        self,
        snapshots: Snapshots,
        holding: Holding,
        told: Callable[[Mapping[tuple[str, int], int]], Awaitable[None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshots, self._holding, self._told, self._clock = snapshots, holding, told, clock
        self._tried: dict[Key, float] = {}
        self._leaving = False
        self._stop = threading.Event()
        self._writing = asyncio.Lock()
        self._swept = clock()
        self._forgotten: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look around for ever."""
        while True:
            await asyncio.sleep(LOOK_PERIOD)
            await self.look()

    async def look(self) -> None:
        """Write the snapshots that are due, and remove those of what has left or is no longer held here."""
        await self._forget()
        await self._forget_older()
        await self._tell()
        for slot, key in self._large():
            if self._is_due(slot, key) and not self._leaving:
                await self._try(slot, key, upload=self._holding.is_first_holder(slot.number))
        if self._holding.ready and self._clock() - self._swept >= SWEEP_PERIOD:
            self._swept = self._clock()
            await self._sweep()

    async def leave(self) -> None:
        """Write a snapshot of all that has changed, for the next start. None is written after it."""
        self._leaving = True
        try:
            for slot, key in self._large():
                if self._changed(slot, key):
                    await self._try(slot, key, upload=False)
        finally:
            self._stop.set()

    def _large(self) -> list[tuple[Slot, Key]]:
        return [
            (slot, key)
            for slot in self._holding.slots.values()
            for key, cortex in slot.cortices.items()
            if cortex.concept_count >= SMALLEST
        ]

    def _changed(self, slot: Slot, key: Key) -> int:
        """Return how many operations there were since the last snapshot, or since the beginning."""
        before = slot.origins.get(key)
        return slot.cortices[key].operations - (before.operations if before else 0)

    def _is_due(self, slot: Slot, key: Key) -> bool:
        before, changed = slot.origins.get(key), self._changed(slot, key)
        if key not in self._tried:
            self._tried[key] = self._clock() if before else float("-inf")
        age = self._clock() - self._tried[key]
        if before is not None and before.key_version != self._snapshots.active_version(key[0]):
            return age >= LEAST_PAUSE
        if before is None or changed >= max(MANY, MANY_SHARE * slot.cortices[key].concept_count):
            return age >= LEAST_PAUSE
        if changed:
            return age >= OFTEN
        return age >= STALE and before.seq < slot.seq

    async def _try(self, slot: Slot, key: Key, *, upload: bool) -> None:
        self._tried[key] = self._clock()
        try:
            async with self._writing:
                await self._take(slot, key, upload=upload)
        except WritingStopped:
            return
        except Exception as error:  # a disk, a key, a store: the tables have everything
            log.warning("snapshot not written", slot=slot.number, why=repr(error))

    async def _take(self, slot: Slot, key: Key, *, upload: bool) -> None:
        begun = time.monotonic()
        async with slot.changing:  # readers go on
            cortex, version = slot.cortices[key], self._snapshots.active_version(key[0])
            origin = Origin(*key, slot.token, slot.seq, slot.digest, cortex.operations, version)
            image = await asyncio.to_thread(_copied, cortex)
        copied = time.monotonic()
        if self._holding.slots.get(slot.number) is not slot:
            return
        await asyncio.to_thread(self._snapshots.write, origin, image, self._stop)
        slot.origins[key] = origin
        log.info(
            "snapshot written", slot=slot.number, snapshot=str(Name.of(origin)), bytes=image.size,
            copied=round(copied - begun, 3), seconds=round(time.monotonic() - begun, 3),
        )  # fmt: skip
        if upload:
            await asyncio.to_thread(self._snapshots.upload, Name.of(origin))

    async def _forget(self) -> None:
        left = self._holding.left
        if new := left - self._forgotten:
            try:
                await asyncio.to_thread(self._snapshots.forget, new)
            except Exception as error:
                log.warning("snapshots not removed", why=repr(error))
            else:
                self._forgotten = left

    async def _forget_older(self) -> None:
        """Remove what a former version of a key seals of cortices that have become too small for a snapshot.

        Of the others the next snapshot, which is due then, supersedes it.
        """
        try:
            small = {
                key: self._snapshots.active_version(key[0])
                for slot in self._holding.slots.values()
                for key, cortex in slot.cortices.items()
                if cortex.concept_count < SMALLEST
            }
            await asyncio.to_thread(self._snapshots.forget_older, small, self._first_held())
        except Exception as error:
            log.warning("snapshots not removed", why=repr(error))

    async def _tell(self) -> None:
        """Tell which versions of keys the snapshots here need, and those stored of slots first held here."""
        try:
            await self._told(await asyncio.to_thread(self._snapshots.key_use, self._first_held()))
        except Exception as error:
            log.warning("use of keys not told", why=repr(error))

    def _first_held(self) -> frozenset[int]:
        return frozenset(slot for slot in self._holding.slots if self._holding.is_first_holder(slot))

    async def _sweep(self) -> None:
        held = {number: frozenset(slot.cortices) for number, slot in self._holding.slots.items()}
        first = {number: keys for number, keys in held.items() if self._holding.is_first_holder(number)}
        try:
            await asyncio.to_thread(_sweep, self._snapshots, held, first)
        except Exception as error:
            log.warning("snapshots not removed", why=repr(error))


def _copied(cortex: Cortex) -> Image:
    state = cortex.state()
    image = Image.of(state)
    image.fill(state)
    return image


def _sweep(
    snapshots: Snapshots, held: Mapping[int, frozenset[Key]], first: Mapping[int, frozenset[Key]]
) -> None:
    snapshots.retain([key for keys in held.values() for key in keys])
    snapshots.retain_stored(first)
