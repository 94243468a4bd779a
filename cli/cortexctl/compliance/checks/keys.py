"""Checks of keys: their ages, what seals what is stored, and what seals the keys themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import KeyVersion, LedgerEntry, Verified
from cortexctl.compliance.finding import Bounds, Item, told_age
from cortexctl.keys import Aged, Policy
from cortexctl.keys.ages import MOST_SEALS, Kind


class AgeBounds(Bounds, frozen=True, kw_only=True):
    """Days that a key may have at most, whatever the schedule of the deployment says."""

    data: int
    kek: int
    root: int
    tokens: int

    def limit(self, kind: Kind) -> timedelta:
        """Return the age that a key of a kind must not reach."""
        days = {"data": self.data, "kek": self.kek, "root": self.root}
        return timedelta(days=days.get(kind, self.tokens))


class ProofBounds(Bounds, frozen=True, kw_only=True):
    """How many regions must have opened a version that seals anything."""

    regions: int


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of all keys in use, and the deployment's own schedule."""

    schedule: Policy
    keys: list[Aged]


@dataclass(frozen=True, slots=True)
class Sealing:
    """What seals the rows of a tenant: the versions of its data key, and what needs each."""

    versions: list[KeyVersion]
    ledger: list[LedgerEntry]


@dataclass(frozen=True, slots=True)
class KeyringFile:
    """A region's keyring: whether a passphrase seals it, and the mode of its file."""

    region: str
    sealed: bool
    mode: int


def ages(found: Ages, bounds: AgeBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Each key is younger than the schedule and the bound say, and has not sealed too often."""
    items = []
    for key in found.keys:
        limit = min(found.schedule.limit(key.kind), bounds.limit(key.kind))
        seals = f", {key.seals} seals" if key.kind == "data" else ""
        items.append(
            Item(
                subject=f"{key.kind} key of {key.tenant}" if key.tenant else f"{key.kind} key",
                observed=told_age(key.age) + seals,
                bound=f"less than {limit.days} days" + (f", {MOST_SEALS} seals" if seals else ""),
                ok=not key.is_older(limit) and key.seals < MOST_SEALS,
            )
        )
    return items


def proven(found: Mapping[str, Sealing], bounds: ProofBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Whatever is stored is sealed by a version that is in force and that enough regions have opened."""
    items = []
    for tenant, sealing in found.items():
        known = {one.version: one for one in sealing.versions}
        uses: dict[int, int] = {}
        for entry in sealing.ledger:
            uses[entry.version] = uses.get(entry.version, 0) + entry.uses
        for version in sorted(set(uses) | {one.version for one in sealing.versions if one.state == "ACTIVE"}):
            key, regions = known.get(version), len(known[version].proven) if version in known else 0
            state = key.state if key else "unknown"
            items.append(
                Item(
                    subject=f"version {version} of {tenant}",
                    observed=f"{state}, seals {uses.get(version, 0)}, opened by {regions} regions",
                    bound=f"in force, opened by {bounds.regions} regions",
                    ok=state in ("ACTIVE", "DECRYPT_ONLY", "RETIRING") and regions >= bounds.regions,
                )
            )
    return items


def opens(found: tuple[list[Verified], list[str]], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """What was sampled opens in every region, by that region's own keys."""
    verified, troubles = found
    items = [
        Item(
            subject=f"version {one.version} in {one.region}",
            observed=f"check value {_word(one)}, {one.opened} of {one.tried} rows",
            bound="all of them open",
            ok=one.check_value and one.opened == one.tried,
        )
        for one in verified
        if one.state != "DESTROYED"
    ]
    items += [Item(subject="what is wrong", observed=one, bound="nothing", ok=False) for one in troubles]
    return items


def sealed(found: list[KeyringFile], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """A passphrase seals each region's keyring, and nobody else may read its file."""
    return [
        Item(
            subject=f"keyring of {one.region}",
            observed=f"{'sealed' if one.sealed else 'in the clear'}, mode {one.mode:04o}",
            bound="sealed by a passphrase, mode 0600",
            ok=one.sealed and one.mode & 0o077 == 0,
        )
        for one in found
    ]


def _word(one: Verified) -> str:
    return "opens" if one.check_value else "stays shut"


decoding.learn(globals())
