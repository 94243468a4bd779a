#!/usr/bin/env python3
"""What the gateway costs a request with a token that it knows, stage by stage. Exit code 3 on a miss.

    .venv/bin/python scripts/bench/gateway.py [--requests N] [--rounds N]

A query of a tenant, of 1,000, goes through what a node's application does before and after its handler: the
same objects, with the routes, roles and keys of a deployment. A stage's figure is the median of the rounds,
in microseconds of the processor, of all threads together: what else the machine does is no cost of the
gateway. The audit log's stage is an event and its part of the segment, up to the file; the database is asked
in batches, which scripts/bench/audit.py measures.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import structlog

from cortex_runtime.changelog.database import Unavailable
from cortex_runtime.formats import tokens
from cortex_runtime.formats.keyring import new_keyring, parse
from cortex_runtime.formats.tokenkeys import new_token_keys
from cortex_runtime.formats.tokens import Verifier
from cortex_runtime.security.audit import AuditLog, Pseudonyms
from cortex_runtime.security.directory import ApiKey, Directory, Quota, TenantEntry
from cortex_runtime.security.gateway import Caller, Gateway
from cortex_runtime.security.keyring import KeyringFile
from cortex_runtime.security.ratelimit import RateLimiter
from cortex_runtime.security.rbac import read
from cortex_runtime.security.spool import Spool
from cortex_runtime.server import app
from cortex_runtime.server.requests import Request, match
from cortex_runtime.server.routes import routes
from cortex_runtime.server.service import Service

RBAC = Path(__file__).resolve().parents[2] / "policies" / "rbac.yaml"
TARGET = 30.0  # µs
TENANTS = 1_000
TENANT = "tenant-500"
METHOD, PATH = "POST", f"/v1/tenants/{TENANT}/cortices/main/query"
QUOTA = Quota(10**6, 10**6, 10**9, 10**9)


class _Nowhere:
    """A database that is not there: events stay in the spool."""

    @asynccontextmanager
    async def connection(self, _: float) -> AsyncIterator[Any]:
        """Refuse."""
        raise Unavailable("the bench has no database")
        yield


def make_directory(place: Path) -> Directory:
    """Return what a node knows of its tenants."""
    (place / "keyring.json").write_bytes(parse(new_keyring()).with_tenant(TENANT).to_bytes())
    directory = Directory(KeyringFile(place / "keyring.json"))
    kek_version, index_key = directory.make_index_key(TENANT)
    for number in range(TENANTS):
        name, keys = f"tenant-{number}", {"1": ApiKey(b"", "reader")}
        directory.tenants[name] = TenantEntry(
            name, "standard", "active", 1, kek_version, index_key, QUOTA, None, keys, {}
        )
    directory._version = 1
    return directory


def stages(place: Path) -> dict[str, Callable[[], object]]:
    """Return what each stage does for one request; needs a running loop."""
    directory, table = make_directory(place), routes()
    keys = new_token_keys("node")
    known = {key.kid: key for key in keys.keys}
    gateway = Gateway(Verifier(known.get), directory, read(RBAC), RateLimiter())
    token, claims = tokens.mint(keys, subject="key:1", tenant=TENANT, epoch=1, role="reader")
    route, names = match(table, METHOD, PATH)
    caller = Caller(claims.sub, claims.tid, claims.sid, "192.0.2.7", "cortexctl/1.0", claims)
    service = cast(Service, SimpleNamespace(
        directory=directory, pseudonyms=Pseudonyms(directory, b"bench"), _resource=lambda _: "main",
    ))  # fmt: skip
    log = AuditLog("bench-1", cast(Any, _Nowhere()), Spool(place / "spool"), directory.tenants.__contains__)
    request = Request(
        method=METHOD, path=PATH, query={}, names=names, body=b"{}", action=route.action, caller=caller,
        request_id="0123456789abcdef", idempotency_key=None, position=None, authorization="", forwarded=False,
    )  # fmt: skip
    checked_header: Callable[..., object] = app._check_header
    scope = cast(Any, SimpleNamespace(query_string="", headers={"cortex-tenant": TENANT}))
    entry = cast(TenantEntry, gateway._check_tenant(route, TENANT, claims))
    return {
        "route": lambda: match(table, METHOD, PATH),
        "authentication": lambda: gateway._authenticate(f"Bearer {token}", "192.0.2.7"),
        "tenant": lambda: gateway._check_tenant(route, TENANT, claims),
        "permission": lambda: gateway._check_permission(route, claims),
        "rate": lambda: gateway._check_rate(entry),
        "parameters": lambda: (app._query(route, scope), checked_header(TENANT, scope)),
        "audit": lambda: log.add(Service.event(service, request, "done")),
        "(all of admit)": lambda: gateway.admit(
            route, TENANT, f"Bearer {token}", "192.0.2.7", "cortexctl/1.0"
        ),
    }


async def one_round(requests: int) -> dict[str, float]:
    """Return the µs of each stage."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for title, stage in stages(Path(name)).items():
            begun = time.process_time()
            for _ in range(requests):
                stage()
            if title == "audit":
                await asyncio.sleep(0.5)  # its writer packs and writes them a tenth of a second later
            found[title] = (time.process_time() - begun) / requests * 1e6
    return found


def main() -> int:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # that events wait is meant
    rounds = [asyncio.run(one_round(arguments.requests)) for _ in range(arguments.rounds)]
    medians = {title: statistics.median(each[title] for each in rounds) for title in rounds[0]}
    for title, value in medians.items():
        some = [each[title] for each in rounds]
        print(f"{title:16} {value:7.2f} µs   ({min(some):.2f} to {max(some):.2f})")
    total = sum(value for title, value in medians.items() if not title.startswith("("))
    print(f"{'together':16} {total:7.2f} µs   target {TARGET:.0f}: {'met' if total <= TARGET else 'MISSED'}")
    return 0 if total <= TARGET else 3


if __name__ == "__main__":
    sys.exit(main())
