"""The keys of a deployment itself, which are of no tenant: the root key, and those that sign tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cortex_runtime.formats.tokenkeys import OVERLAP, TokenKey, TokenKeys
from cortexctl import tokenfiles
from cortexctl.deployment import Deployment
from cortexctl.keys.ages import ISSUERS, Kind, days_since
from cortexctl.tenants import keyrings


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key: how many `days` old it is, and `until` when it verifies; None when nobody knows."""

    kind: Kind
    id: str
    state: str
    days: int | None
    until: str | None = None


def own_keys(deployment: Deployment) -> list[OwnKey]:
    """Return the root key and the keys that sign tokens, of each issuer the oldest first. Raises Refused."""
    found = []
    if deployment.kms is None:
        ring = keyrings.newest(deployment)
        found.append(OwnKey("root", ring.root_id, "ACTIVE", _days(ring.root_made_at)))
    for kind, issuer in ISSUERS.items():
        found += _signing_keys(kind, tokenfiles.read(deployment, issuer))
    return found


def _days(made_at: str | None) -> int | None:
    days = days_since(made_at)
    return None if days is None else int(days)


def end_of(key: TokenKey) -> str | None:
    """Return when a key verifies no more, None while nobody knows."""
    if key.retired_at is None:
        return None
    return datetime.fromtimestamp(key.retired_at + OVERLAP, UTC).isoformat(timespec="seconds")


def _signing_keys(kind: Kind, keys: TokenKeys) -> Iterator[OwnKey]:
    for key in keys.keys:
        made_at = datetime.fromtimestamp(key.created_at, UTC).isoformat()
        yield OwnKey(kind, key.kid, _state(keys, key), _days(made_at), end_of(key))


def _state(keys: TokenKeys, key: TokenKey) -> str:
    if key.kid == keys.signing:
        return "ACTIVE"
    if not key.verifies(time.time()):
        return "DESTROYED"
    return "PENDING" if key is keys.keys[-1] else "RETIRING"
