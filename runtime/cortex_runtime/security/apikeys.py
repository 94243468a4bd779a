"""API keys: what machines log in with. Shown once, kept as a hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cortex_runtime.changelog.database import Connection
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.tokenkeys import TokenKeys


def api_key_hash(api_key: str) -> bytes:
    """Return what is stored of an API key. A key has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(api_key.encode()).digest()


async def issue(
    connection: Connection, keys: TokenKeys, request_key: str | None, tenant: str, *, role: str, new: bool,
    once: bool = False,
) -> str | None:  # fmt: skip
    """Make the API key that belongs to a request; repeated, the request gets the same one again.

    `request_key` is its idempotency key. Unless `new`, only one that an earlier attempt made is returned.
    """
    purpose = framed("api-key", tenant, request_key or secrets.token_hex(16))
    raw = hmac.digest(base64.b64decode(keys.derivation), purpose, "sha512")
    name, secret = raw[:4].hex(), base64.urlsafe_b64encode(raw[32:]).rstrip(b"=").decode()
    api_key = f"ck_{name}_{secret}"
    if new:
        await connection.execute(
            "insert into api_key (tenant, id, hash, role, once) values (%s, %s, %s, %s, %s)"
            " on conflict do nothing",
            [tenant, name, api_key_hash(api_key), role, once],
        )
    cursor = await connection.execute(
        "select from api_key where tenant = %s and id = %s and hash = %s",
        [tenant, name, api_key_hash(api_key)],
    )
    return api_key if await cursor.fetchone() is not None else None
