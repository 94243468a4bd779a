"""Ages of keys, and the policy of how old each kind may become."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from cortex_runtime.client import Client
from cortex_runtime.formats.keyring import Keyring
from cortex_runtime.formats.tokenkeys import Issuer
from cortexctl import deployment as deployments
from cortexctl import durable, tokenfiles
from cortexctl.deployment import Deployment
from cortexctl.errors import UsageError
from cortexctl.keys.rotation import versions
from cortexctl.tenants import keks, keyrings

Kind = Literal["data", "kek", "root", "node-tokens", "operator-tokens"]
ISSUERS: dict[Kind, Issuer] = {"node-tokens": "node", "operator-tokens": "operator"}
_AGE = re.compile(r"([0-9]{1,6})([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
MAX_DAYS = 3650
MOST_SEALS = 1 << 31


@dataclass(frozen=True, slots=True)
class Policy:
    """After how many days a key is due: a tenant's data key, its key-encryption key, the root key, and
    those that sign tokens."""

    data: int = 90
    kek: int = 365
    root: int = 365
    tokens: int = 90

    def limit(self, kind: Kind) -> timedelta:
        """Return the age at which a key of a kind is due."""
        days = {"data": self.data, "kek": self.kek, "root": self.root}
        return timedelta(days=days.get(kind, self.tokens))


@dataclass(frozen=True, slots=True)
class Aged:
    """A key in use and its age in days, None when nobody knows it; the root key and those that sign tokens
    are of no tenant.

    `seals` is how often a data key has sealed.
    """

    kind: Kind
    tenant: str
    age: float | None
    seals: int = 0

    def is_older(self, limit: timedelta) -> bool:
        """Tell whether it has reached an age; of unknown age it has."""
        return self.age is None or timedelta(days=self.age) >= limit


def parse_age(text: str) -> timedelta:
    """Return an age like 90d, 12h, 30m or 5s. Raises UsageError."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no age.", why="An age is a number and d, h, m or s.", todo="Say 90d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def policy_of(deployment: Deployment) -> Policy:
    """Return the deployment's policy."""
    return replace(Policy(), **(deployment.key_policy or {}))


def set_policy(deployment: Deployment, wish: dict[str, int | None]) -> Policy:
    """Keep another policy; what is None stays. Raises UsageError. The caller holds the deployment's lock."""
    policy = changed_policy(deployment, wish)
    changed = replace(deployment, key_policy=asdict(policy))
    durable.write(deployment.directory / "deployment.yaml", deployments.dump(changed).encode())
    return policy


def changed_policy(deployment: Deployment, wish: dict[str, int | None]) -> Policy:
    """Return the policy with what is wished for. Raises UsageError."""
    wanted = {kind: days for kind, days in wish.items() if days is not None}
    for kind, days in wanted.items():
        if not 1 <= days <= MAX_DAYS:
            raise UsageError(f"{days} days are no age for a key ({kind}).", todo=f"Choose 1 to {MAX_DAYS}.")
    return replace(policy_of(deployment), **wanted)


def data_key_age(client: Client, tenant: str) -> Aged:
    """Return the age of a tenant's active data key. Raises ClientError."""
    active = [one for one in versions(client, tenant) if one.state == "ACTIVE"]
    if not active:
        return Aged("data", tenant, None)
    return Aged("data", tenant, days_since(active[0].activated_at), active[0].seals)


def data_key_ages(client: Client, tenants: Iterable[str]) -> list[Aged]:
    """Return the ages of the active data keys. Raises ClientError."""
    return [data_key_age(client, tenant) for tenant in tenants]


def wrapping_key_ages(deployment: Deployment, tenants: Iterable[str]) -> list[Aged]:
    """Return the ages of the root key, if there is one, and of the key-encryption keys. Raises Refused."""
    if deployment.kms is not None:
        keeper = keks.of(deployment)
        return [Aged("kek", name, days_since(keeper.made_at(deployment, name))) for name in tenants]
    keyring = keyrings.newest(deployment)
    root = Aged("root", "", days_since(keyring.root_made_at))
    return [root, *(kek_age(keyring, tenant) for tenant in tenants)]


def token_key_ages(deployment: Deployment) -> list[Aged]:
    """Return the ages of the keys that sign tokens; one whose rotation has begun is due. Raises Refused."""
    found = []
    for kind, issuer in ISSUERS.items():
        keys = tokenfiles.read(deployment, issuer)
        made_at = datetime.fromtimestamp(keys.signer().created_at, UTC).isoformat()
        found.append(Aged(kind, "", None if keys.turning else days_since(made_at)))
    return found


def kek_age(keyring: Keyring, tenant: str) -> Aged:
    """Return the age of a tenant's newest key-encryption key."""
    keys = keyring.tenants.get(tenant, [])
    return Aged("kek", tenant, days_since(keys[-1].made_at if keys else None))


def due(ages: Iterable[Aged], policy: Policy) -> list[Aged]:
    """Return the keys that have reached the policy's age, or have sealed as often as a key may."""
    return [each for each in ages if each.seals >= MOST_SEALS or each.is_older(policy.limit(each.kind))]


def days_since(made_at: str | None) -> float | None:
    """Return how many days ago a time (ISO 8601) was, None when nobody knows the time."""
    if not made_at:
        return None
    age = datetime.now(UTC) - datetime.fromisoformat(made_at)
    return age / timedelta(days=1)
