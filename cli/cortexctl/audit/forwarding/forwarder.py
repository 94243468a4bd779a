"""The forwarder: a thread a sink, so that one that hangs or refuses holds up no other.

Events are sent in the order of each log, and a sink's cursor moves when its receiver has acknowledged them.
Whatever ends the forwarder, the next one begins there: an event may come twice, by the same id, never not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from cortex_runtime.client import ClientError
from cortex_runtime.formats.messages import AuditEvent, AuditSegment, AuditTree
from cortexctl import durable
from cortexctl.audit.archive import NO_TENANT
from cortexctl.audit.forwarding import delivery
from cortexctl.audit.forwarding.configuration import Configuration, Sink, SplunkSink, SyslogSink
from cortexctl.audit.forwarding.cursor import Cursor, Place
from cortexctl.audit.forwarding.delivery import NotDelivered, Sender
from cortexctl.audit.forwarding.source import Source, events_of
from cortexctl.audit.forwarding.splunk import SplunkSender
from cortexctl.audit.forwarding.syslog import SyslogSender
from cortexctl.audit.forwarding.webhook import WebhookSender
from cortexctl.errors import CortexctlError, ObjectiveMissed

T = TypeVar("T")
BATCH = 500
PERIOD = 1.0
# To read the log of no tenant is in the log of no tenant: looked at each second it would grow by itself.
OWN_PERIOD = 60.0
Told = Callable[[str], None]


@dataclass(slots=True)
class Forwarded:
    """What a sink got in this run, and why it did not get the rest."""

    sink: str
    sent: int = 0
    failed: str | None = None


def forward(
    configuration: Configuration, source: Source, host: str, *, follow: bool, patience: float, told: Told
) -> list[Forwarded]:
    """Send to all sinks what they do not have yet: what there is now, or whatever comes.

    Raises ObjectiveMissed when a sink did not get all within `patience` seconds of failing, UsageError,
    Refused or Locked.
    """
    configuration.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with durable.exclusive(configuration.state / "lock", f"Forwarding from {configuration.state}"):
        workers = [
            _Worker(sink, _sender(sink, host), Cursor(configuration.state / f"{sink.name}.json"), source,
                    None if follow else patience, told)
            for sink in configuration.sinks
        ]  # fmt: skip
        threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # an endless join would not be interrupted
                thread.join(1.0)
    failed = [worker.done for worker in workers if worker.done.failed]
    if failed:
        raise ObjectiveMissed(
            f"Not all events reached {', '.join(each.sink for each in failed)}.",
            why="; ".join(f"{each.sink}: {each.failed}" for each in failed),
            todo="Mend the sink and run this again: it goes on where it was.",
        )
    return [worker.done for worker in workers]


class _Worker:
    """Serves one sink. `patience` is None to go on for ever."""

    def __init__(
        self, sink: Sink, sender: Sender, cursor: Cursor, source: Source, patience: float | None, told: Told
    ) -> None:
        self.done = Forwarded(sink.name)
        self._sink, self._sender, self._cursor, self._source = sink, sender, cursor, source
        self._patience, self._told = patience, told
        self._own_next = 0.0

    def run(self) -> None:
        """Forward until all is sent, or for ever, or until it is hopeless."""
        try:
            while True:
                self._round()
                if self._patience is not None:
                    return
                time.sleep(PERIOD)
        except (NotDelivered, ClientError, OSError) as error:
            self.done.failed = str(error)
        except CortexctlError as error:
            self.done.failed = f"{error.what} {error.why}"
        if self._patience is None:
            self._told(f"{self._sink.name} is given up: {self.done.failed}")

    def _round(self) -> None:
        for tree in self._insist(self._source.trees):
            if self._sink.takes(tree.tenant) and self._is_due(tree):
                self._send_log(tree)

    def _is_due(self, tree: AuditTree) -> bool:
        if tree.tenant != NO_TENANT or self._patience is not None:
            return True
        now = time.monotonic()
        if now < self._own_next:
            return False
        self._own_next = now + OWN_PERIOD
        return True

    def _send_log(self, tree: AuditTree) -> None:
        place = self._cursor[tree.tenant]
        if tree.size < place.leaf or tree.events < place.event:
            raise ObjectiveMissed(
                f"The log of {tree.tenant} has {tree.events} events; {place.event} were forwarded of it.",
                why="It was cut, or restored to an earlier time.",
            )
        events = self._events(tree, place)
        while batch := list(islice(events, BATCH)):
            self._insist(lambda batch=batch: self._sender.send([event for event, _ in batch]))  # type: ignore[misc]
            self._cursor.advance(tree.tenant, batch[-1][1])
            self.done.sent += len(batch)

    def _events(self, tree: AuditTree, place: Place) -> Iterator[tuple[AuditEvent, Place]]:
        """Yield the events of a log from a place to its head, each with the place behind it."""
        leaf = place.leaf
        while leaf < tree.size:
            page = self._page(tree.tenant, leaf)
            for segment in page:
                if segment.leaf != leaf:
                    raise ObjectiveMissed(f"Leaf {leaf} of the log of {tree.tenant} is missing.")
                leaf += 1
                end = segment.first_event + segment.events
                for event in events_of(segment, tree.tenant):
                    assert event.sequence is not None
                    if event.sequence >= place.event:
                        last = event.sequence + 1 == end
                        yield event, Place(leaf if last else leaf - 1, event.sequence + 1)
                if leaf == tree.size:
                    return

    def _page(self, tenant: str, leaf: int) -> list[AuditSegment]:
        page = self._insist(lambda: self._source.page(tenant, leaf))
        if not page:
            raise ObjectiveMissed(f"Leaf {leaf} of the log of {tenant} is missing.")
        return page

    def _insist(self, call: Callable[[], T]) -> T:
        """Return what a call returns, repeated as long as there is patience. Raises what it raised last."""
        begun, attempt = time.monotonic(), 0
        while True:
            try:
                return call()
            except (NotDelivered, ClientError) as error:
                failure = error if isinstance(error, NotDelivered) else NotDelivered(str(error))
                waiting = delivery.pause(attempt, failure)
                if self._patience is not None and time.monotonic() + waiting - begun > self._patience:
                    raise
                if attempt in (0, 10) or attempt % 100 == 0:
                    self._told(f"{self._sink.name}: {failure}; it is tried again.")
                attempt += 1
                time.sleep(waiting)


def _sender(sink: Sink, host: str) -> Sender:
    if isinstance(sink, SplunkSink):
        return SplunkSender(sink, host)
    if isinstance(sink, SyslogSink):
        return SyslogSender(sink, host)
    return WebhookSender(sink)  # type: ignore[arg-type]
