#!/usr/bin/env python3
"""Measure the audit log beside its targets: appending, bytes on disk, verification. Exit code 3 on a miss.

    scripts/bench/audit.py [--events N] [--runs N]

A PostgreSQL of its own (fsync on, no standby), a spool of its own, and a stream of reads as a node has them:
300 sessions, 100,000 concepts, three gets to two queries, gathered for a tenth of a second at the rate that
is a target. Figures are medians of the runs. What is on disk is all that the table takes: rows, what is
stored beside them, indexes. Few events a second compress less: segments of 100 and of 10 are shown too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"

if Path(sys.prefix) != ROOT / ".venv":  # run by any Python: go on in the project's own environment
    subprocess.run([ROOT / "scripts" / "cortexctl", "--help"], stdout=subprocess.DEVNULL, check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

sys.path.insert(0, str(ROOT / "tests"))

import msgspec  # noqa: E402 - these come with the environment
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402

from cortex_runtime.changelog.database import EVERY, Database, about  # noqa: E402
from cortex_runtime.formats.audit import Event  # noqa: E402
from cortex_runtime.formats.checkpoint import Signer  # noqa: E402
from cortex_runtime.formats.messages import AuditSegment  # noqa: E402
from cortex_runtime.security import tree  # noqa: E402
from cortex_runtime.security.audit import AuditLog, event  # noqa: E402
from cortex_runtime.security.spool import Spool  # noqa: E402
from cortexctl.audit import verifying  # noqa: E402
from unit import postgres  # noqa: E402

RATE, BYTES = 20_000, 40
AGENTS = (
    "cortexctl",
    "python-httpx/0.28.1",
    "acme-agent/3.1 (linux; x86_64)",
    "Mozilla/5.0 (X11; Linux x86_64)",
)


class Stream:
    """Reads of a tenant; half of the sessions and concepts are drawn evenly, half by a power law."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        draw = self._random
        self._sessions = [
            (f"key:{draw.getrandbits(32):08x}", f"{draw.getrandbits(64):016x}",
             ".".join(str(draw.randrange(256)) for _ in range(4)), draw.choice(AGENTS))
            for _ in range(300)
        ]  # fmt: skip
        self._concepts = [f"main/{draw.getrandbits(64):016x}" for _ in range(100_000)]

    def read(self) -> Event:
        """Return the next event, of now."""
        actor, session, ip, agent = self._sessions[self._index(300)]
        get = self._random.random() < 0.6
        return event(
            tenant="acme", actor=actor, session=session, ip=ip, user_agent=agent,
            action="concept.get" if get else "query", result="done",
            resource=self._concepts[self._index(100_000)] if get else "main",
            request_id=f"{self._random.getrandbits(64):016x}",
        )  # fmt: skip

    def _index(self, count: int) -> int:
        if self._random.random() < 0.5:
            return self._random.randrange(count)
        return min(count, int(self._random.paretovariate(1.1))) - 1


async def append(conninfo: str, directory: Path, events: list[Event], batch: int) -> float:
    """Return the events a second from `add` to the database, in batches as a node makes them."""
    log = AuditLog("bench-1", Database(conninfo, size=2), Spool(directory), bool)
    begun = time.perf_counter()
    for start in range(0, len(events), batch):
        for each in events[start : start + batch]:
            log.add(each)
        await log.flush()
    return len(events) / (time.perf_counter() - begun)


async def sequence(conninfo: str, signer: Signer) -> float:
    """Return the seconds in which all segments get their places."""
    begun = time.perf_counter()
    async with about(Database(conninfo, size=1), 60.0, EVERY) as connection:
        while await tree.sequence(connection, "bench", "acme", signer):
            pass
    return time.perf_counter() - begun


async def exported(conninfo: str, directory: Path, public: bytes) -> None:
    """Write an export."""
    async with about(Database(conninfo, size=1), 60.0, EVERY) as connection:
        rows = await connection.execute(
            "select id::text, leaf, first_event, events, hash, content from audit_segment order by leaf",
            binary=True,
        )
        with (directory / "segments.jsonl").open("wb") as file:
            for id_, leaf, first, count, hashed, content in await rows.fetchall():
                segment = AuditSegment(
                    id=id_, leaf=leaf, first_event=first, events=count, hash=hashed.hex(), content=content
                )
                file.write(msgspec.json.encode(segment) + b"\n")
        head = await tree.head_of(connection, "acme")
        (directory / "checkpoint").write_text(await tree.checkpoint_of(connection, "acme", head.size))
        (directory / "checkpoint-signing.pub").write_bytes(public)


async def stored(conninfo: str) -> tuple[int, int]:
    """Return the bytes of all contents, and those that the table takes on the disk."""
    async with about(Database(conninfo, size=1), 60.0, EVERY) as connection:
        row = await (
            await connection.execute(
                "select sum(length(content))::bigint, pg_total_relation_size('audit_segment')"
                " from audit_segment"
            )
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def reads(count: int) -> list[Event]:
    """Return events as they come at the rate that is a target."""
    stream, start = Stream(), 1_790_000_000_000
    return [msgspec.structs.replace(stream.read(), time=start + n * 1000 // RATE) for n in range(count)]


def run(port: int, place: Path, count: int, private: bytes, public: bytes) -> dict[str, float]:
    """Return the figures of one run."""
    conninfo = f"host=127.0.0.1 port={port} user=cortex dbname=cortexkg"
    place.mkdir()
    events, found = reads(count), {}
    for batch in (10, 100, RATE // 10):
        postgres.empty(port, "audit_segment, audit_tree, audit_subtree, audit_checkpoint")
        some = events[: min(count, batch * 500)]
        rate = asyncio.run(append(conninfo, place / "spool", some, batch))
        content, disk = asyncio.run(stored(conninfo))
        found[f"bytes an event, {batch} a segment: content"] = content / len(some)
        found[f"bytes an event, {batch} a segment: on disk"] = disk / len(some)
    found["events/s from add to commit"] = rate
    placed = asyncio.run(sequence(conninfo, Signer(private, "cortexkg/bench")))
    asyncio.run(exported(conninfo, place, public))
    begun = time.perf_counter()
    verifying.verify(place, public)
    verified = time.perf_counter() - begun
    return found | {"events/s sequenced": count / placed, "events/s verified": count / verified}


def main() -> int:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    with tempfile.TemporaryDirectory() as name, postgres.running(Path(name), fsync=True) as port:
        runs = [
            run(port, Path(name) / str(number), arguments.events, private, public)
            for number in range(arguments.runs)
        ]
    figures = {title: [each[title] for each in runs] for title in runs[0]}
    medians = {title: statistics.median(values) for title, values in figures.items()}
    for title, value in medians.items():
        spread = f"{min(figures[title]):,.1f} to {max(figures[title]):,.1f}"
        print(f"{title:46} {value:12,.1f}   ({spread})")
    disk = medians[f"bytes an event, {RATE // 10} a segment: on disk"]
    met = medians["events/s from add to commit"] >= RATE and disk <= BYTES
    print(f"targets ({RATE:,} events/s, {BYTES} bytes an event on disk)", "met" if met else "MISSED")
    return 0 if met else 3


if __name__ == "__main__":
    sys.exit(main())
