"""Keeps keys in the background of a node: proves new ones, re-encrypts what older ones seal, retires those.

Nothing is remembered but in the rows: whoever owns a slot after this node goes on where the rows are.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import psycopg
import structlog

from cortex_runtime import failpoints
from cortex_runtime.changelog.database import EVERY, Connection, Unavailable, about
from cortex_runtime.changelog.owner import NotOwner, Owner
from cortex_runtime.changelog.reencryption import ROWS_AT_ONCE, Row, fetch_concepts, fetch_edges, reseal
from cortex_runtime.formats.audit import pack
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security import audit
from cortex_runtime.security.audit import event
from cortex_runtime.security.directory import UnknownKey
from cortex_runtime.security.envelope import key_version_of
from cortex_runtime.server.retiring import destroy, lock_keys, needed_for

if TYPE_CHECKING:
    from cortex_runtime.server.service import Service

PERIOD, PERIOD_BEFORE_READY = 1.0, 0.1
CALL_TIMEOUT = 3.0
PAUSE = 0.5  # times a batch's own time: so it takes two thirds of the time at most
RENEW_PERIOD = 30.0
FETCH_TIMEOUT = 30.0  # of the last rows of a large cortex, between which there are many that are done
DESTROY_PERIOD = 60.0
LEDGER_TIMEOUT = 30.0
_OLDER = "select from key_rows where tenant = %s and cortex = %s and version <> %s and rows > 0"
_RETIRING = """
    update data_key set state = 'RETIRING'
    where tenant = any(%s) and state = 'DECRYPT_ONLY'
      and not exists (select from key_rows where key_rows.tenant = data_key.tenant
                      and key_rows.version = data_key.version group by part having sum(rows) > 0)
    returning tenant, version
"""
log = structlog.get_logger()


class KeyKeeper:
    """The background task of one node."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._proved: set[tuple[str, bytes]] = set()
        self._told: set[tuple[str, bytes]] = set()
        self._renewed = (0, 0.0)
        self._clean: set[tuple[str, str, int]] = set()  # nothing more comes under an old version
        self._destroys_at = time.monotonic() + DESTROY_PERIOD

    async def run(self) -> None:
        """Keep keys until it is cancelled. Re-encryption may take long: the rest does not wait for it."""
        await asyncio.gather(
            self._repeat(self._prove), self._repeat(self._reencrypt, self._retire, self._destroy)
        )

    async def _repeat(self, *steps: Callable[[], Awaitable[None]]) -> None:
        while True:
            pause = PERIOD if self._service.replica.keys_proven else PERIOD_BEFORE_READY
            for step in steps:
                try:
                    await step()
                except (Unavailable, psycopg.Error, NotOwner, UnknownKey, KeyringError) as error:
                    log.warning("keys not kept", step=step.__name__, why=str(error))
                    pause = PERIOD
                except Exception:  # whatever it is, the next round must come
                    log.exception("keys not kept", step=step.__name__)
                    pause = PERIOD
            await asyncio.sleep(pause)

    async def _prove(self) -> None:
        """Open all keys, and say which versions this region has opened; before that the node is not ready.

        A tenant whose active key does not open is not served here, and the node's report tells so.
        """
        directory, replica = self._service.directory, self._service.replica
        if not directory.version:
            return
        await self._renew()
        opened = await asyncio.to_thread(self._opening)
        if directory.shut:
            told = [f"{tenant} is not served, {why}" for tenant, why in sorted(directory.shut.items())[:3]]
            replica.problems["keys"] = f"{'; '.join(told)} ({len(directory.shut)} tenants)"
        else:
            replica.problems.pop("keys", None)
        if opened:
            await self._say_opened([(tenant, version) for tenant, version, _ in opened])
            self._proved.update((tenant, wrapped) for tenant, _, wrapped in opened)
        replica.keys_proven = True
        for number, slot in list(replica.slots.items()):
            if slot.missing - set(directory.shut) - replica.left:
                await replica.load_anew(number)

    async def _renew(self) -> None:
        """Have keys opened when there are new ones, some are shut, or for long that was not looked at."""
        directory, now = self._service.directory, time.monotonic()
        if directory.version == self._renewed[0] and not directory.shut and now < self._renewed[1]:
            return
        version = directory.version
        await asyncio.to_thread(directory.renew_keys)
        self._renewed = version, now + RENEW_PERIOD

    def _opening(self) -> list[tuple[str, int, bytes]]:
        """Return the versions that open and of which this region has not said so, with what they are."""
        directory, found = self._service.directory, []
        for tenant, entry in list(directory.tenants.items()):
            if entry.has_left or tenant in directory.shut:
                continue
            for key in entry.data_keys.values():
                if key.state != "DESTROYED" and (tenant, key.wrapped) not in self._proved:
                    if directory.opens(tenant, key):
                        found.append((tenant, key.version, key.wrapped))
                    elif (tenant, key.wrapped) not in self._told:
                        self._told.add((tenant, key.wrapped))
                        log.error("version does not open", tenant=tenant, version=key.version)
        return found

    async def _say_opened(self, versions: list[tuple[str, int]]) -> None:
        async with about(self._service.primary, CALL_TIMEOUT, EVERY) as connection:
            await connection.execute(
                "insert into key_proof (tenant, version, region)"
                " select tenant, version, %s from unnest(%s::text[], %s::int[]) as opened (tenant, version)"
                " on conflict do nothing",
                [self._service.config.region, [t for t, _ in versions], [v for _, v in versions]],
            )

    async def _reencrypt(self) -> None:
        """Give each cortex that this node owns, and that may have rows under older versions, a look."""
        directory, replica = self._service.directory, self._service.replica
        for number, owner in list(replica.owners.items()):
            slot = replica.slots.get(number)
            for tenant, cortex in list(slot.cortices) if slot else ():
                entry = directory.tenants.get(tenant)
                if entry is None or entry.has_left or not entry.has_older_versions:
                    continue
                place = tenant, cortex, entry.active_version
                if place not in self._clean and await self._reencrypt_cortex(owner, tenant, cortex):
                    self._clean.add(place)

    async def _reencrypt_cortex(self, owner: Owner, tenant: str, cortex: str) -> bool:
        """Re-encrypt a cortex; tell whether all of it was gone through."""
        begun, count = time.monotonic(), 0
        if not await self._has_older(tenant, cortex):
            return owner.open
        for fetch in (fetch_concepts, fetch_edges):
            after = b""
            while owner.open:
                active = self._service.directory.tenants[tenant].active_version
                async with self._service.primary.connection(FETCH_TIMEOUT) as connection:
                    rows = await fetch(connection, owner.slot.number, tenant, cortex, active, after)
                if not rows:
                    break
                started = time.monotonic()
                count += await self._rewrite(owner, tenant, active, rows)
                after = rows[-1].id
                await asyncio.sleep(PAUSE * (time.monotonic() - started))
                if len(rows) < ROWS_AT_ONCE:
                    break
        if count:
            seconds = round(time.monotonic() - begun, 3)
            log.info("re-encrypted", slot=owner.slot.number, tenant=tenant, rows=count, seconds=seconds)
        return owner.open

    async def _has_older(self, tenant: str, cortex: str) -> bool:
        active = self._service.directory.tenants[tenant].active_version
        async with self._service.primary.connection(CALL_TIMEOUT) as connection:
            cursor = await connection.execute(_OLDER, [tenant, cortex, active])
            return await cursor.fetchone() is not None

    async def _rewrite(self, owner: Owner, tenant: str, active: int, rows: list[Row]) -> int:
        anew, damaged = await asyncio.to_thread(reseal, self._service.directory, tenant, rows)
        if damaged:
            log.error("rows do not open", slot=owner.slot.number, tenant=tenant, rows=len(damaged))
        anew = [(row, entry) for row, entry in anew if key_version_of(entry) == active]
        if not anew:
            return 0
        failpoints.reached("reencrypt:sealed")
        rewritten = await owner.rewrite(tenant, active, anew)
        failpoints.reached("reencrypt:rewritten")
        return rewritten

    async def _retire(self) -> None:
        """Say of versions that no row needs any more that only backups and snapshots may."""
        tenants = [
            name
            for name, entry in self._service.directory.tenants.items()
            if any(key.state == "DECRYPT_ONLY" for key in entry.data_keys.values())
        ]
        if not tenants or not self._service.replica.owners:
            return
        async with about(self._service.primary, CALL_TIMEOUT, EVERY) as connection:
            await self._mark(connection, tenants)

    async def _destroy(self) -> None:
        """Destroy the versions that are retiring and that nothing needs any more, once in a while."""
        if time.monotonic() < self._destroys_at or 0 not in self._service.replica.owners:
            return
        self._destroys_at = time.monotonic() + DESTROY_PERIOD
        for tenant, entry in list(self._service.directory.tenants.items()):
            for key in entry.data_keys.values():
                if key.state == "RETIRING":
                    await self._destroy_unless_needed(tenant, key.version)

    async def _destroy_unless_needed(self, tenant: str, version: int) -> None:
        async with about(self._service.primary, LEDGER_TIMEOUT, tenant) as connection:
            await lock_keys(connection, tenant)
            if await needed_for(connection, tenant, version):
                return
            await destroy(connection, tenant, version)
            await connection.execute("update directory set version = version + 1")
            done = event(
                tenant=tenant, actor=f"node:{self._service.config.name}", user_agent="key keeping",
                action="key.retire", resource=str(version), result="done", request_id=secrets.token_hex(8),
            )  # fmt: skip
            await audit.append(connection, pack(self._service.config.name, [done]))
        log.info("version destroyed", tenant=tenant, version=version)

    async def _mark(self, connection: Connection, tenants: list[str]) -> None:
        rows = await (await connection.execute(_RETIRING, [tenants])).fetchall()
        if rows:
            await connection.execute("update directory set version = version + 1")
            log.info("versions retiring", versions=[f"{tenant} {version}" for tenant, version in rows])
