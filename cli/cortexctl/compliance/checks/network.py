"""Checks of what listens: where, whether in TLS, and how long the certificates last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cortex_runtime.formats import decoding
from cortexctl.certificates import Certificate
from cortexctl.compliance.finding import Bounds, Item
from cortexctl.platforms.base import Listener


class TlsBounds(Bounds, frozen=True, kw_only=True):
    """Names of the listeners that may speak plain text."""

    plain: list[str]


class AddressBounds(Bounds, frozen=True, kw_only=True):
    """The addresses that anything may be bound to."""

    addresses: list[str]


class LifeBounds(Bounds, frozen=True, kw_only=True):
    """Days that must be left of every certificate."""

    days: int


def encrypted(found: Iterable[Listener], bounds: TlsBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Every listener answers in TLS, but for those that are named."""
    return [
        Item(
            subject=_name(one), observed="TLS" if one.encrypted else "no TLS",
            bound="TLS", ok=one.encrypted,
        )
        for one in found
        if one.name not in bounds.plain
    ]  # fmt: skip


def bound(found: Iterable[Listener], bounds: AddressBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Only what is known listens, where it may, and all of it does."""
    allowed = set(bounds.addresses)
    return [
        Item(
            subject=_name(one),
            observed=", ".join(one.addresses) or "does not listen",
            bound=f"a known listener, on {' or '.join(bounds.addresses)}",
            ok=bool(one.name) and bool(one.addresses) and set(one.addresses) <= allowed,
        )
        for one in found
    ]


def life(found: Iterable[Certificate], bounds: LifeBounds, now: datetime) -> list[Item]:  # noqa: ARG001
    """Every certificate lasts long enough, and is the one that is shown."""
    return [
        Item(
            subject=f"{one.name} of {one.place}",
            observed="missing or damaged"
            if one.found is None
            else f"{one.left / timedelta(days=1):.1f} days left"
            + (f", older shown by {', '.join(one.stale)}" if one.stale else ""),
            bound=f"{bounds.days} days left, shown by all",
            ok=one.left >= timedelta(days=bounds.days) and not one.stale,
        )
        for one in found
    ]


def _name(one: Listener) -> str:
    return f"{one.place}: {one.name}, port {one.port}" if one.name else f"unknown, port {one.port}"


decoding.learn(globals())
