"""The generic cell rate algorithm (ITU-T I.371): one number a tenant, no timer.

A node grants a tenant its whole rate: with several nodes behind a load balancer the sum may be more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tenant may do: requests a second, and how many at once after a pause."""

    rate: float
    burst: int


TIERS = {
    "free": Tier(rate=100.0, burst=200),
    "standard": Tier(rate=2_000.0, burst=4_000),
    "enterprise": Tier(rate=20_000.0, burst=40_000),
}


class RateLimiter:
    """Theoretical arrival times by tenant; bounded by the number of tenants."""

    def __init__(self) -> None:
        self._arrival: dict[str, float] = {}

    def allow(self, tenant: str, tier: str) -> bool:
        """Count one request, and tell whether it conforms."""
        limits = TIERS[tier]
        now = time.monotonic()
        arrival = max(self._arrival.get(tenant, now), now)
        if arrival - now > limits.burst / limits.rate:
            return False
        self._arrival[tenant] = arrival + 1.0 / limits.rate
        return True
