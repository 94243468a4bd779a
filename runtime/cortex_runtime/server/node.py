"""A node: puts the parts together, serves until it is asked to end, and leaves in order."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import psycopg
import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.server.embed import Server
from structlog.tracebacks import ExceptionDictTransformer

from cortex_runtime import config as configuration
from cortex_runtime.changelog.cluster import HEARTBEAT_PERIOD, Heartbeat
from cortex_runtime.changelog.database import (
    Connection,
    Database,
    Unavailable,
    local_conninfo,
    primary_conninfo,
)
from cortex_runtime.changelog.replica import Replica
from cortex_runtime.changelog.slots import SETTINGS
from cortex_runtime.changelog.snapshots import Snapshots
from cortex_runtime.changelog.snapshotting import Snapshotting
from cortex_runtime.columns import Encoder
from cortex_runtime.columns.kernels import KernelsError, chosen
from cortex_runtime.config import NodeConfig
from cortex_runtime.formats.checkpoint import Signer, key_name_of
from cortex_runtime.formats.tokenkeys import TokenKeysError
from cortex_runtime.formats.tokens import Verifier
from cortex_runtime.objectstore import open_store
from cortex_runtime.security.audit import AuditLog, Pseudonyms
from cortex_runtime.security.directory import Directory
from cortex_runtime.security.gateway import Gateway
from cortex_runtime.security.hops import Hops
from cortex_runtime.security.oidc import Oidc
from cortex_runtime.security.providers import open_provider
from cortex_runtime.security.ratelimit import RateLimiter
from cortex_runtime.security.rbac import RbacError
from cortex_runtime.security.rbac import read as read_roles
from cortex_runtime.security.scraper import Scraper
from cortex_runtime.security.spool import Spool
from cortex_runtime.security.tokenkeys import TokenKeyFile, finder
from cortex_runtime.server.anchoring import Anchoring
from cortex_runtime.server.app import Application
from cortex_runtime.server.consolidating import Consolidator
from cortex_runtime.server.contents import Contents
from cortex_runtime.server.erasing import ErasureList
from cortex_runtime.server.forwarding import Forwarder
from cortex_runtime.server.identity import Identity
from cortex_runtime.server.keykeeping import KeyKeeper
from cortex_runtime.server.metrics import Metrics
from cortex_runtime.server.routes import routes
from cortex_runtime.server.sequencing import Sequencer
from cortex_runtime.server.service import Service

NOTICED_BY_LOAD_BALANCER = 2.5
DRAIN_TIMEOUT = 10.0
SIDE_BY_SIDE = 0.5  # how long an old and a new listener both take connections
MAINTENANCE_PERIOD = 600.0
_ROLE = """
    select rolsuper or rolbypassrls
           or exists (select from pg_class where relname = 'tenant' and relowner = r.oid), rolname
    from pg_roles r where rolname = current_user
"""
log = structlog.get_logger()


def serve(path: Path) -> int:
    """Run a node until SIGTERM or SIGINT, and return the process' exit code."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: they hold texts, tokens and keys.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    try:
        kernels = chosen()  # loads or compiles them: nothing is compiled while requests wait
        config = configuration.read(path)
        node = _Node(config)
    except (configuration.ConfigError, KernelsError, RbacError, TokenKeysError, OSError) as error:
        log.error("not started", why=str(error))  # noqa: TRY400 - the reason is what was asked for, not our stack
        return 2
    structlog.contextvars.bind_contextvars(node=config.name)
    log.info("kernels chosen", kernels=kernels.name)
    return uvloop.run(node.run())


class _Node:
    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        rbac = read_roles(config.rbac)
        rbac.check(routes())
        primary = primary_conninfo(config.database, f"{config.name}/primary")
        self._primary = Database(primary, size=12)
        self._local = Database(local_conninfo(config.database, config.region, f"{config.name}/local"), size=4)
        self._heartbeat = Heartbeat(config, primary)
        directory = Directory(open_provider(config.keys, config.deployment))
        objects = open_store(config.objects) if config.objects else None
        snapshots = Snapshots(config.snapshots, objects, directory, SETTINGS)
        replica = Replica(
            config, primary=self._primary, control=Database(primary, size=2), local=self._local,
            directory=directory, heartbeat=self._heartbeat, snapshots=snapshots,
        )  # fmt: skip
        self._snapshotting = Snapshotting(snapshots, replica, self._tell_key_use)
        own, operators = TokenKeyFile(config.tokens.node), TokenKeyFile(config.tokens.operator)
        finder(own, operators)
        hops = Hops(config.name, own)
        self._service = Service(
            config=config, directory=directory, replica=replica, contents=Contents(directory),
            encoder=Encoder(), primary=self._primary, local=self._local,
            forwarder=Forwarder(config.tls, hops), identity=Identity(config.tls, self._take_up),
            audit=AuditLog(
                config.name, self._primary, Spool(config.spool), lambda name: name in directory.tenants
            ),
            pseudonyms=Pseudonyms(directory, own.current().derivation.encode()), metrics=Metrics(replica),
            token_keys=own, operator_keys=operators, snapshots=snapshots, rbac=rbac, oidc=Oidc(),
            started=time.monotonic(),
        )  # fmt: skip
        signer = Signer(config.checkpoint_key.read_bytes(), key_name_of(config.deployment))
        self._sequencer = Sequencer(self._service, signer)
        self._copying: tuple[Anchoring | ErasureList, ...] = ()
        if objects:
            self._copying = Anchoring(self._service, objects), ErasureList(self._service, objects)
        self._server: Server | None = None
        self._limiter = RateLimiter()
        verifier = Verifier(lambda kid: finder(own, operators).get(kid))
        scraper = Scraper(config.scraper) if config.scraper else None
        gateway = Gateway(verifier, directory, rbac, self._limiter, scraper)
        self._application = Application(self._service, gateway, hops, routes())

    async def run(self) -> int:
        """Serve until the end is asked for, and return the exit code: 1 when it came by itself."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        gc.collect()
        gc.freeze()  # what was imported stays: to look through it again would hold up requests for 100 ms
        server = self._server = self._listener()
        serving = asyncio.create_task(server.serve())
        self._heartbeat.start()
        self._service.replica.start()
        self._service.audit.start()
        snapshotting = asyncio.create_task(self._snapshotting.run())
        background = [
            asyncio.create_task(task)
            for task in (
                self._maintain(),
                self._share_rates(),
                Consolidator(self._service).run(),
                KeyKeeper(self._service).run(),
                self._sequencer.run(),
                self._service.identity.watch(),
            )
        ]
        background += [asyncio.create_task(each.run()) for each in self._copying]
        log.info("started", address=self._config.address, region=self._config.region)
        replica = self._service.replica
        asked = asyncio.create_task(ended.wait())
        unfit = asyncio.create_task(self._refuse_role())
        broken = asyncio.create_task(replica.ended())
        await asyncio.wait([serving, asked, broken, unfit], return_when=asyncio.FIRST_COMPLETED)
        for task in background:
            task.cancel()
        if unfit.done():
            return 2
        if not asked.done():
            log.error("ended by itself", serving=not serving.done(), following=not broken.done())
            return 1
        await self._leave(server, serving)
        snapshotting.cancel()
        log.info("ended")
        return 0

    def _listener(self) -> Server:
        tls = self._config.tls
        server = Server(
            self._application, address=self._config.listen or self._config.host, port=self._config.port,
            interface=Interfaces.RSGI, http=HTTPModes.http1, websockets=False, log_enabled=False,
            ssl_cert=tls.certificate, ssl_key=tls.key, ssl_ca=tls.ca, ssl_client_verify=True,
        )  # fmt: skip
        server.respawn_interval = SIDE_BY_SIDE
        return server

    def _take_up(self) -> None:
        """Serve and ask with the certificate that is in the file now; it was checked.

        Another worker listens on the same port, then the old one takes no more connections and ends when it
        has answered. A connection on which nothing was asked yet may be closed then: HAProxy, other nodes and
        our client repeat what they were about to ask.
        """
        self._service.forwarder.renew()
        if self._server is not None:
            tls = self._config.tls
            self._server.build_ssl_context(
                tls.certificate, tls.key, None, SSLProtocols.tls13, tls.ca, [], client_verify=True
            )
            self._server.reload()  # type: ignore[no-untyped-call]

    async def _leave(self, server: Server, serving: asyncio.Task[None]) -> None:
        """Become unready, hand over, go on serving until the load balancer has noticed, then end."""
        log.info("draining")
        noticed = asyncio.create_task(asyncio.sleep(NOTICED_BY_LOAD_BALANCER))
        await _bounded("hand-over", self._service.replica.drain())
        snapshots = asyncio.create_task(_bounded("snapshots", self._snapshotting.leave()))
        await noticed
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait([serving], timeout=DRAIN_TIMEOUT)
        await _bounded("audit", self._service.audit.flush())
        await snapshots
        await self._service.forwarder.close()
        await self._service.replica.stop()

    async def _tell_key_use(self, use: Mapping[tuple[str, int], int]) -> None:
        """Say which versions of keys this node's snapshots need, and how often each has sealed here."""
        name, seals = self._config.name, self._service.directory.take_seals()
        async with self._primary.connection(5.0) as connection, connection.transaction():
            await connection.execute(
                "insert into key_seals as known (tenant, version, seals)"
                " select * from unnest(%s::text[], %s::int[], %s::bigint[]) as more (tenant, version, seals)"
                " order by tenant, version"
                " on conflict (tenant, version) do update set seals = known.seals + excluded.seals",
                [[key[0] for key in seals], [key[1] for key in seals], list(seals.values())],
            )
            await connection.execute("delete from key_use where node = %s", [name])
            await connection.execute(
                "insert into key_use (node, tenant, version, snapshots)"
                " select %s, * from unnest(%s::text[], %s::int[], %s::int[])",
                [name, [key[0] for key in use], [key[1] for key in use], list(use.values())],
            )
            await connection.execute(
                "insert into key_use_told values (%s, clock_timestamp())"
                " on conflict (node) do update set at = excluded.at",
                [name],
            )

    async def _refuse_role(self) -> None:
        """Return when the database lets this node in as somebody whom row-level security does not bind."""
        while True:
            try:
                async with self._local.connection(5.0) as connection:
                    row = await (await connection.execute(_ROLE)).fetchone()
            except (Unavailable, psycopg.Error):
                await asyncio.sleep(1.0)
                continue
            if row is not None and row[0]:
                log.error(
                    "not started", why=f"the role {row[1]} owns tables, or passes row-level security by"
                )
                return
            await asyncio.Event().wait()

    async def _share_rates(self) -> None:
        """Tell the other nodes what this one is asked, and hear what they are: a tenant's rate is for all."""
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            self._heartbeat.usage = self._limiter.usage(HEARTBEAT_PERIOD)
            members = self._service.replica.view.members.values()
            self._limiter.hear({m.name: m.usage for m in members if m.alive and m.name != self._config.name})

    async def _maintain(self) -> None:
        while True:
            try:
                if self._config.region == self._service.replica.view.primary_region:
                    async with self._primary.connection(30.0) as connection:
                        await connection.execute("select keep_partitions()")
                        while await _forgotten(connection):
                            pass
            except Exception as error:
                log.warning("upkeep failed", why=repr(error))
            await asyncio.sleep(MAINTENANCE_PERIOD)


async def _bounded(what: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            await work
    except Exception as error:
        log.warning("left undone", what=what, why=repr(error))


async def _forgotten(connection: Connection) -> int:
    row = await (await connection.execute("select forget_expired()")).fetchone()
    return row[0] if row else 0
