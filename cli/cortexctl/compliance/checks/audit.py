"""Checks of the audit log: its trees, how fresh their heads are, and the anchors in every region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import AuditFreshness
from cortexctl.audit.verifying import Verified
from cortexctl.compliance.finding import Bounds, Item


class FreshBounds(Bounds, frozen=True, kw_only=True):
    """Seconds that a segment may wait for its place under a signed head."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Log:
    """A tenant's log: what verifying it gave, or why it is not to be believed."""

    tenant: str
    verified: Verified | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Anchors:
    """The newest size of each log that a region's store keeps, by region; None: the region does not say."""

    logs: list[AuditFreshness]
    kept: Mapping[str, Mapping[str, int] | None]


def trees(found: list[Log], bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Every log is what was signed: each leaf, event and root, against all anchors."""
    return [
        Item(
            subject=f"log of {log.tenant}",
            observed=log.trouble or f"{log.verified.events} events, {log.verified.size} segments"
            if log.verified
            else log.trouble or "not verified",
            bound="what was signed",
            ok=log.verified is not None and not log.trouble,
            digest=log.verified.root if log.verified else None,
        )
        for log in found
    ]


def fresh(found: list[AuditFreshness], bounds: FreshBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Nothing waits for long until a signed head covers it."""
    return [
        Item(
            subject=f"log of {log.tenant}",
            observed=f"{log.size} segments signed at {log.signed_at}; the oldest waits {log.waiting:.1f} s",
            bound=f"waits at most {bounds.seconds} s",
            ok=log.size > 0 and log.waiting <= bounds.seconds,
        )
        for log in found
    ]


def anchored(found: Anchors, bounds: Bounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Every region's store keeps a head of every log, as new as what was signed a while ago."""
    return [
        Item(
            subject=f"log of {log.tenant} in {region}",
            observed="the region does not answer"
            if kept is None
            else f"anchored up to {kept.get(log.tenant, 0)} segments",
            bound=f"at least {log.settled} segments",
            ok=kept is not None and kept.get(log.tenant, 0) >= log.settled,
        )
        for log in found.logs
        for region, kept in found.kept.items()
        if log.settled or kept is None  # a log that has just begun is not to be anchored yet
    ]


decoding.learn(globals())
