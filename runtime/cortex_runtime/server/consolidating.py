"""Consolidation in the background of a node: slices between requests, and proposals written as the owner."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from cortex_runtime.changelog.database import Unavailable
from cortex_runtime.changelog.owner import NotOwner, OutcomeUnknown
from cortex_runtime.changelog.plan import Rejected, Write
from cortex_runtime.columns import Cortex, Relate
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.messages import RelateOperation
from cortex_runtime.security.audit import event
from cortex_runtime.security.directory import UnknownKey
from cortex_runtime.security.envelope import CannotOpen

if TYPE_CHECKING:
    from cortex_runtime.changelog.slots import Slot
    from cortex_runtime.server.service import Service

SLICE = 0.002
PAUSE = 0.004  # after a slice: so consolidation takes a third of the node's time at most
IDLE = 0.5  # after a round in which there was nothing to do
WRITE_PERIOD = 1.0
MOST_RELATED = 64  # in one write; one that is refused, for a concept that has gone just now, is dropped
Place = tuple[str, str]
log = structlog.get_logger()


class Consolidator:
    """Takes the cortices of a node in turn, a slice of each."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._next_write = time.monotonic()

    async def run(self) -> None:
        """Consolidate until it is cancelled."""
        while True:
            try:
                worked = await self._round()
            except Exception:  # whatever it is, the next round must come
                log.exception("consolidation failed")
                worked = False
            await asyncio.sleep(PAUSE if worked else IDLE)

    async def _round(self) -> bool:
        """Give every cortex a slice; tell whether any had something to do."""
        worked, begun = False, time.perf_counter()
        for slot in list(self._service.replica.slots.values()):
            for place, cortex in list(slot.cortices.items()):
                if self._consolidate(slot, cortex):
                    worked = True
                    await asyncio.sleep(PAUSE)
                    begun = time.perf_counter()
                await self._relate(slot, place, cortex)
            if time.perf_counter() > begun + SLICE:
                await asyncio.sleep(0)
                begun = time.perf_counter()
        return worked

    def _consolidate(self, slot: Slot, cortex: Cortex) -> bool:
        if slot.changing.locked():  # its arrays are just copied
            return False
        owner = self._service.replica.owners.get(slot.number)
        cortex.consolidation.proposing = owner is not None and owner.open
        begun = time.perf_counter()
        done = cortex.consolidation.step(SLICE)
        if done:
            self._service.metrics.consolidation.add(done, time.perf_counter() - begun)
        return done > 0

    async def _relate(self, slot: Slot, place: Place, cortex: Cortex) -> None:
        """Write what is proposed, as any client would."""
        if time.monotonic() < self._next_write or not (
            relates := cortex.consolidation.proposals(MOST_RELATED)
        ):
            return
        self._next_write = time.monotonic() + WRITE_PERIOD
        try:
            operations = await self._named(slot, place[0], relates)
            if operations:
                await self._service.replica.submit(slot.number, self._write(place, operations))
        except (
            NotOwner, OutcomeUnknown, Rejected, Unavailable, UnknownKey, KeyringError, CannotOpen,
        ) as error:  # fmt: skip
            log.warning("not related", slot=slot.number, proposals=len(relates), why=str(error))

    async def _named(self, slot: Slot, tenant: str, relates: list[Relate]) -> list[RelateOperation]:
        """Return proposals by the names of the concepts, but for those of concepts that have gone."""
        service = self._service
        records = {record for relate in relates for record in (relate.source, relate.target)}
        stored = await service.contents.concepts(service.source(slot), slot, tenant, records)
        return [
            RelateOperation(
                source=stored[relate.source][0].id, type=relate.type, target=stored[relate.target][0].id,
                weight=relate.weight,
            )
            for relate in relates
            if relate.source in stored and relate.target in stored
        ]  # fmt: skip

    def _write(self, place: Place, operations: list[RelateOperation]) -> Write:
        tenant, cortex = place
        service, body = self._service, msgspec.json.encode(operations)
        return Write(
            tenant=tenant,
            cortex=cortex,
            operations=list(operations),
            key=os.urandom(16),
            mac=hmac.digest(service.directory.index_key(tenant), body, "sha256"),
            size=len(body),
            event=event(
                tenant=tenant, actor=f"node:{service.config.name}", user_agent="consolidation",
                action="consolidate", resource=cortex, result="done", request_id=secrets.token_hex(8),
            ),
            answer=asyncio.get_running_loop().create_future(),
        )  # fmt: skip
