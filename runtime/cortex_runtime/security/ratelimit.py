"""Rates by the generic cell rate algorithm (ITU-T I.371): one number a key, no timer.

A tenant's rate is for all nodes together. Each tells the others, in its heartbeat, what it was asked by whom;
each grants itself the part of the rate that is its part of what all were asked. Without that news it is an
equal part: too little for some seconds at worst, never the whole rate on every node.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

BURST = 2.0  # seconds of its rate that a tenant may ask for at once, after a pause
SMALLEST_PART = 0.25  # of an equal part: what a node grants to who has just come to it
MOST_TOLD = 200
SMOOTHING = 0.5
Usage = dict[str, float]


class Gcra:
    """Theoretical arrival times by key, at most `most` of them: the longest known is forgotten first."""

    def __init__(self, tolerance: float, most: int) -> None:
        self._tolerance, self._most = tolerance, most
        self._arrival: dict[str, float] = {}

    def exceeded(self, key: str) -> bool:
        """Tell whether one more would not conform; counts nothing."""
        return self._arrival.get(key, 0.0) - time.monotonic() > self._tolerance

    def allow(self, key: str, rate: float) -> bool:
        """Count one at a rate (a second), and tell whether it conforms."""
        now = time.monotonic()
        arrival = max(self._arrival.get(key, now), now)
        if arrival - now > self._tolerance:
            return False
        if len(self._arrival) >= self._most and key not in self._arrival:
            del self._arrival[next(iter(self._arrival))]
        self._arrival[key] = arrival + 1.0 / rate
        return True


class RateLimiter:
    """The requests of tenants on this node."""

    def __init__(self, most: int = 100_000) -> None:
        self._gcra = Gcra(BURST, most)
        self._asked: dict[str, int] = {}
        self._rates: Usage = {}
        self._parts: Usage = {}
        self._equal_part = 1.0

    def allow(self, tenant: str, rate: float) -> bool:
        """Count one request of a tenant with this rate, and tell whether it conforms."""
        self._asked[tenant] = self._asked.get(tenant, 0) + 1
        return self._gcra.allow(tenant, rate * self._parts.get(tenant, self._equal_part))

    def usage(self, seconds: float) -> Usage:
        """Return what was asked, in requests a second by tenant; call it each `seconds`."""
        asked, self._asked = self._asked, {}
        rates = {
            tenant: SMOOTHING * asked.get(tenant, 0) / seconds
            + (1 - SMOOTHING) * self._rates.get(tenant, 0.0)
            for tenant in {*asked, *self._rates}
        }
        self._rates = {tenant: rate for tenant, rate in rates.items() if rate >= 0.5}
        most = sorted(self._rates, key=self._rates.__getitem__, reverse=True)[:MOST_TOLD]
        return {tenant: round(self._rates[tenant], 1) for tenant in most}

    def hear(self, others: Mapping[str, Usage]) -> None:
        """Take in what the other nodes that live were asked, by node."""
        self._equal_part = 1.0 / (1 + len(others))
        self._parts = {
            tenant: max(
                rate / (rate + sum(usage.get(tenant, 0.0) for usage in others.values())),
                SMALLEST_PART * self._equal_part,
            )
            for tenant, rate in self._rates.items()
        }
