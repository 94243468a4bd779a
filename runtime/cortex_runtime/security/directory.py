"""What a node knows of tenants and their keys: a copy of the small tables, renewed when they change.

Nothing here is older than a second, plus the region's replication lag. Keys are opened when first used.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cortex_runtime.changelog.database import EVERY, Connection, say_about
from cortex_runtime.formats.framing import framed
from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.security.envelope import (
    CannotOpen,
    Place,
    key_version_of,
    seal,
    seal_into,
    unseal,
    unseal_into,
)
from cortex_runtime.security.oidc import IdentityProvider
from cortex_runtime.security.openedkeys import OpenedKeys, Wrapped
from cortex_runtime.security.providers import KekProvider

USABLE = ("ACTIVE", "DECRYPT_ONLY", "RETIRING")
CHECK_PLAIN = b"cortexkg check value"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A version of a data key as the database has it."""

    version: int
    state: str
    kek_version: int
    wrapped: bytes
    check_value: bytes

    @property
    def usable(self) -> bool:
        """True of one that may open records."""
        return self.state in USABLE


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may have: concepts, columns, bytes of stored entries; and ask, in requests a second."""

    concepts: int
    columns: int
    storage: int
    requests: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: what is stored of it, its role, whether it is good for one login, and had that."""

    hash: bytes = field(repr=False)
    role: str
    once: bool = False
    used_up: bool = False


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """A tenant as the database has it. `active_version` is that of the key that seals, 0 for none."""

    name: str
    tier: str
    state: str
    epoch: int
    kek_version: int
    index_key: bytes
    quota: Quota
    identity: IdentityProvider | None
    api_keys: dict[str, ApiKey] = field(repr=False)
    data_keys: dict[int, WrappedKey] = field(repr=False)
    active_version: int = 0

    def __post_init__(self) -> None:
        active = [key.version for key in self.data_keys.values() if key.state == "ACTIVE"]
        object.__setattr__(self, "active_version", active[0] if active else 0)

    @property
    def has_older_versions(self) -> bool:
        """True while rows may be under another version than the active one."""
        return any(key.usable and key.version != self.active_version for key in self.data_keys.values())

    @property
    def has_left(self) -> bool:
        """True of one whose keys are, or are about to be, destroyed: nothing of it can be opened any more."""
        return self.state in ("leaving", "gone")

    def has_subject(self, subject: str) -> bool:
        """Tell whether there still is what somebody logged in by: his API key, or the identity provider."""
        kind, _, name = subject.partition(":")
        return name in self.api_keys if kind == "key" else self.identity is not None


class UnknownKey(LookupError):
    """A version that this node does not know, or may not use."""


class KeyDestroyed(CannotOpen):
    """A record of a version that was destroyed. Operators are told; clients see one that does not open."""

    def __init__(self, tenant: str, version: int) -> None:
        ValueError.__init__(self, f"version {version} of tenant {tenant}'s key is destroyed")


class Directory:
    """Tenants, their API keys and data keys, and the sessions that ended early."""

    def __init__(self, provider: KekProvider, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider, self._keys = provider, OpenedKeys(provider, clock)
        self._version = 0
        self._tenants: dict[str, TenantEntry] = {}
        self._denied: frozenset[str] = frozenset()
        self._shut: dict[str, str] = {}
        self._seals: Counter[tuple[str, int]] = Counter()

    @property
    def version(self) -> int:
        """The version of the tables that this copy was made from."""
        return self._version

    @property
    def tenants(self) -> dict[str, TenantEntry]:
        """All tenants by name."""
        return self._tenants

    def has_left(self, tenant: str) -> bool:
        """Tell whether a tenant is known to have left; not of one that is not known (yet)."""
        entry = self._tenants.get(tenant)
        return entry is not None and entry.has_left

    def denied(self, session: str) -> bool:
        """Tell whether a session has ended."""
        return session in self._denied

    def deny(self, session: str) -> None:
        """End a session here at once; the other nodes learn it from the table."""
        self._denied |= {session}

    async def refresh(self, connection: Connection) -> bool:
        """Read the tables again if they changed, in one snapshot; tell whether they had."""
        row = await (await connection.execute("select version from directory")).fetchone()
        if row is None or row[0] == self._version:
            return False
        async with connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            await say_about(connection, EVERY)
            row = await (await connection.execute("select version from directory")).fetchone()
            tenants = await _rows(connection, _TENANTS)
            api_keys = await _rows(
                connection, "select tenant, id, hash, role, once, once and used_at is not null from api_key"
            )
            data_keys = await _rows(
                connection, "select tenant, version, state, kek_version, wrapped, check_value from data_key"
            )
            providers = await _rows(
                connection, "select tenant, issuer, client_id, role_claim, roles, ca from identity_provider"
            )
            denied = await _rows(connection, "select session from denied")
        api_keys_of: defaultdict[str, dict[str, ApiKey]] = defaultdict(dict)
        for tenant, identifier, *api_key in api_keys:
            api_keys_of[tenant][identifier] = ApiKey(*api_key)
        data_keys_of: defaultdict[str, dict[int, WrappedKey]] = defaultdict(dict)
        for tenant, *key in data_keys:
            data_keys_of[tenant][key[0]] = WrappedKey(*key)
        identities = {tenant: IdentityProvider(*provider) for tenant, *provider in providers}
        self._tenants = {
            name: TenantEntry(
                name, tier, state, epoch, kek_version, index_key, Quota(*quota), identities.get(name),
                api_keys_of[name],
                data_keys_of[name],
            )
            for name, tier, state, epoch, kek_version, index_key, *quota in tenants
        }  # fmt: skip
        self._denied = frozenset(row[0] for row in denied)
        self._keys.keep(set(self._wrapped()))
        assert row is not None
        self._version = row[0]
        if (
            self._provider.is_quick
        ):  # at once: a key-encryption key may leave as soon as nothing is wrapped by it
            await asyncio.to_thread(self.renew_keys)
        return True

    def active_version(self, tenant: str) -> int:
        """Return the version of a tenant's key that seals. Raises UnknownKey."""
        return self._tenant(tenant).active_version

    def seal(self, place: Place, plain: bytes) -> bytes:
        """Seal under the tenant's active data key. Raises UnknownKey."""
        version = self._tenant(place.tenant).active_version
        self._seals[place.tenant, version] += 1
        return seal(self._data_key(place.tenant, version), version, place, plain)

    def take_seals(self) -> Counter[tuple[str, int]]:
        """Return how often each version of each tenant's key has sealed since this was last asked."""
        taken, self._seals = self._seals, Counter()
        return taken

    def unseal(self, place: Place, sealed: bytes) -> bytes:
        """Open a record of a tenant. Raises CannotOpen or UnknownKey."""
        return unseal(self._data_key(place.tenant, key_version_of(sealed)), place, sealed)

    def seal_into(self, place: Place, version: int, plain: memoryview, out: memoryview) -> None:
        """Seal a big record by a version into `out` (see envelope.seal_into). Raises UnknownKey."""
        self._seals[place.tenant, version] += 1
        seal_into(self._data_key(place.tenant, version), version, place, plain, out)

    def unseal_into(self, place: Place, sealed: memoryview, out: memoryview) -> None:
        """Open a big record of a tenant into `out`. Raises CannotOpen, UnknownKey or KeyringError."""
        unseal_into(self._data_key(place.tenant, key_version_of(sealed)), place, sealed, out)

    def record_id(self, tenant: str, cortex: str, name: str) -> bytes:
        """Return the 16 bytes under which something named by a tenant is stored."""
        return hmac.digest(self.index_key(tenant), framed(cortex, name), "sha256")[:16]

    def index_key(self, tenant: str) -> bytes:
        """Return the key (32 bytes) of a tenant's record ids. Raises UnknownKey or KeyringError."""
        entry = self._tenant(tenant)
        return self._keys.open(Wrapped(tenant, "index-key", 0, entry.kek_version, entry.index_key))

    @property
    def shut(self) -> dict[str, str]:
        """The tenants whose active key this node could not open when it last looked, and why."""
        return self._shut

    def check_open(self, tenant: str) -> None:
        """Raise KeyringError if this node cannot open a tenant's active key: it does not serve it then."""
        if tenant in self._shut:
            raise KeyringError(f"the active key of tenant {tenant} does not open here: {self._shut[tenant]}")

    def opens(self, tenant: str, key: WrappedKey) -> bool:
        """Tell whether this node can open a version's check value now; call it from a thread."""
        return self.why_shut(tenant, key) is None

    def why_shut(self, tenant: str, key: WrappedKey) -> str | None:
        """Return why a version's check value does not open, None when it does; call it from a thread."""
        wrapped = Wrapped(tenant, "data-key", key.version, key.kek_version, key.wrapped)
        try:
            plain = unseal(self._keys.unwrap(wrapped), _check_place(tenant, key.version), key.check_value)
        except (CannotOpen, KeyringError) as error:
            return str(error)
        return None if plain == CHECK_PLAIN else "its check value is another"

    def opened_versions(self, tenant: str) -> list[int]:
        """Return the versions of a tenant's data key whose check values open; call it from a thread."""
        return [version for version, key in self._tenant(tenant).data_keys.items() if self.opens(tenant, key)]

    def renew_keys(self) -> None:
        """Open what is not open yet, or was long ago, and see who is shut; call it from a thread."""
        failed = self._keys.renew(list(self._wrapped()))
        self._shut = {
            each.tenant: why
            for each, why in failed.items()
            if each.tenant in self._tenants and each.version in (0, self._tenants[each.tenant].active_version)
        }

    def make_data_key(self, tenant: str, version: int) -> tuple[int, bytes, bytes]:
        """Return key-encryption key's version, wrapped key and check value of a new data key.

        As all that makes keys: raises KeyringError, and is to be called from a thread.
        """
        key = os.urandom(32)
        kek_version, wrapped = self._provider.wrap(tenant, "data-key", version, key)
        return kek_version, wrapped, seal(key, version, _check_place(tenant, version), CHECK_PLAIN)

    def rewrap(
        self, tenant: str, kind: str, version: int, kek_version: int, wrapped: bytes
    ) -> tuple[int, bytes]:
        """Return a wrapped key of a tenant as the newest version of its key-encryption key wraps it.

        Raises KeyringError or CannotOpen.
        """
        if self._provider.newest(tenant) == kek_version:
            return kek_version, wrapped
        key = self._keys.unwrap(Wrapped(tenant, kind, version, kek_version, wrapped))
        return self._provider.wrap(tenant, kind, version, key)

    def make_index_key(self, tenant: str) -> tuple[int, bytes]:
        """Return key-encryption key's version and the wrapped key of record ids."""
        return self._provider.wrap(tenant, "index-key", 0, os.urandom(32))

    def _tenant(self, name: str) -> TenantEntry:
        try:
            return self._tenants[name]
        except KeyError:
            raise UnknownKey(f"tenant {name} is not known here") from None

    def _data_key(self, tenant: str, version: int) -> bytes:
        key = self._tenant(tenant).data_keys.get(version)
        if key is not None and key.state == "DESTROYED":
            raise KeyDestroyed(tenant, version)
        if key is None or not key.usable:
            raise UnknownKey(f"tenant {tenant} has no usable key version {version} here")
        return self._keys.open(Wrapped(tenant, "data-key", version, key.kek_version, key.wrapped))

    def _wrapped(self) -> Iterator[Wrapped]:
        """Yield all wrapped keys that may be used."""
        for tenant, entry in self._tenants.items():
            if entry.has_left:
                continue
            yield Wrapped(tenant, "index-key", 0, entry.kek_version, entry.index_key)
            for key in entry.data_keys.values():
                if key.usable:
                    yield Wrapped(tenant, "data-key", key.version, key.kek_version, key.wrapped)


_TENANTS = """
    select name, tier, state, epoch, kek_version, index_key, concepts, columns, storage, requests
    from tenant join tenant_quota on tenant = name
"""


async def _rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query, binary=True)).fetchall()


def _check_place(tenant: str, version: int) -> Place:
    return Place(tenant, "data_key", b"", "check", version)
