"""What somebody who has a database and files opens with them: by the runtime's own code, and by guessing."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cortex_runtime.changelog.entries import concept_place
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import Keyring
from cortex_runtime.security.directory import Directory, UnknownKey
from cortex_runtime.security.envelope import CannotOpen
from cortex_runtime.security.providers import open_provider

KEY_IN_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")
KEY_IN_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LARGEST = 1 << 20


def opened(port: int, keyring: Path, tenant: str) -> list[str]:
    """Return what opens of a tenant in a database with a keyring: check values of keys, and concepts."""
    return asyncio.run(_opened(port, keyring, tenant))


async def _opened(port: int, keyring: Path, tenant: str) -> list[str]:
    directory = Directory(open_provider(keyring.as_uri(), "stolen"))
    database = f"host=127.0.0.1 port={port} user=postgres dbname=cortexkg"
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await directory.refresh(connection)
        found = [f"check value {version}" for version in directory.opened_versions(tenant)]
        cursor = await connection.execute(
            "select id, operation, entry from concept where tenant = %s", [tenant], binary=True
        )
        rows = await cursor.fetchall()
    assert rows, "the backup has rows of the tenant"
    for record, operation, entry in rows:
        try:
            found.append(directory.unseal(concept_place(tenant, record, operation), entry).decode("latin-1"))
        except (CannotOpen, UnknownKey, ValueError):  # a KeyringError is a ValueError
            continue
    return found


def candidates(directory: Path) -> set[bytes]:
    """Return all that could be a key of 32 bytes in the small files of a directory, but for databases."""
    found = set()
    for path in directory.rglob("*"):
        if path.is_file() and "postgres" not in path.parts and path.stat().st_size <= LARGEST:
            content = path.read_bytes()
            found |= {base64.b64decode(text) for text in KEY_IN_BASE64.findall(content)}
            found |= {bytes.fromhex(text.decode()) for text in KEY_IN_HEX.findall(content)}
            found |= {content} if len(content) == 32 else set()
    return found


def wrapped_keys(keyring: Keyring, tenant: str) -> list[tuple[bytes, bytes]]:
    """Return a tenant's wrapped key-encryption keys with what binds each to its place."""
    return [
        (base64.b64decode(key.wrapped), framed(keyring.root_id, tenant, key.version))
        for key in keyring.tenants[tenant]
    ]


def data_keys(port: int, tenant: str) -> list[tuple[bytes, bytes]]:
    """Return a tenant's wrapped data keys in a database with what binds each to its place."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=cortexkg") as connection:
        rows = connection.execute(
            "select version, kek_version, wrapped from data_key where tenant = %s", [tenant], binary=True
        ).fetchall()
    return [(wrapped, framed("data-key", tenant, version, kek)) for version, kek, wrapped in rows]


def guessed(keys: Iterable[bytes], locked: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Return what any of the keys opens of what is wrapped."""
    return [plain for key in keys for wrapped, place in locked for plain in _try(key, wrapped, place)]


def _try(key: bytes, wrapped: bytes, place: bytes) -> Iterator[bytes]:
    try:
        yield AESGCM(key).decrypt(wrapped[:12], wrapped[12:], place)
    except InvalidTag:
        return
