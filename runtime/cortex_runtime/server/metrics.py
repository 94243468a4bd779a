"""The node's metrics, in the Prometheus text format."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cortex_runtime.changelog.replica import Replica

RATE_WINDOW = 60.0


class Metrics:
    """Counters that requests raise, and gauges read from the replica when asked."""

    def __init__(self, replica: Replica) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.duration = Histogram(
            "http_request_duration_seconds", "Time from request to answer.", ["route"],
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )  # fmt: skip
        self.allocation_failures = Counter(
            "cortical_allocation_failures_total", "Puts that were not allocated.", registry=self._registry
        )
        self.allocations = _Rate()
        self.consolidation = Consolidated(self._registry)
        self._registry.register(_ReplicaCollector(replica, self.allocations))

    def render(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self._registry)


class Consolidated:
    """What consolidation did since the node started. longest: seconds of the longest slice."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.done, self.longest = 0, 0.0
        self._items = Counter(
            "memory_consolidation_items_total", "Items of consolidation that were done.", registry=registry
        )
        self._slices = Histogram(
            "memory_consolidation_slice_seconds", "Time of a slice of consolidation.",
            buckets=(0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.05), registry=registry,
        )  # fmt: skip

    def add(self, items: int, seconds: float) -> None:
        """Count a slice."""
        self.done, self.longest = self.done + items, max(self.longest, seconds)
        self._items.inc(items)
        self._slices.observe(seconds)


class _Rate:
    """Events a second over the last minute, counted in one-second buckets."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def add(self, count: int) -> None:
        now = int(time.monotonic())
        self._buckets[now] = self._buckets.get(now, 0) + count
        for second in [s for s in self._buckets if s < now - RATE_WINDOW]:
            del self._buckets[second]

    def value(self) -> float:
        oldest = time.monotonic() - RATE_WINDOW
        return sum(count for second, count in self._buckets.items() if second >= oldest) / RATE_WINDOW


class _ReplicaCollector(Collector):
    def __init__(self, replica: Replica, allocations: _Rate) -> None:
        self._replica, self._allocations = replica, allocations

    def collect(self) -> Iterable[Metric]:
        return self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        totals = self._replica.totals()
        yield GaugeMetricFamily("cortical_columns_active", "Allocated columns.", totals.columns)
        yield GaugeMetricFamily(
            "cortical_allocation_rate", "Allocations a second, last minute.", self._allocations.value()
        )
        yield GaugeMetricFamily(
            "memory_consolidation_queue_size", "Items of consolidation that wait.", totals.consolidation
        )
        yield GaugeMetricFamily(
            "knowledge_graph_writes_waiting", "Writes that wait for their append.", totals.queue
        )
        yield GaugeMetricFamily("knowledge_graph_concepts_total", "Concepts.", totals.concepts)
        yield GaugeMetricFamily("knowledge_graph_relationships_total", "Relationships.", totals.relationships)
