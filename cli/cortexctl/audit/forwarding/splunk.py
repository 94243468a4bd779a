"""Splunk's HTTP Event Collector. Where it gives an ackId (indexer acknowledgement), that is waited for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime

import httpx
import msgspec

from cortex_runtime.formats.messages import AuditEvent
from cortexctl.audit.forwarding import configuration, delivery
from cortexctl.audit.forwarding.configuration import SplunkSink
from cortexctl.audit.forwarding.delivery import NotDelivered

ACK_PAUSE = 0.5


class SplunkSender:
    """Sends to one collector."""

    def __init__(self, sink: SplunkSink, host: str) -> None:
        self._sink, self._host = sink, host
        self._client = httpx.Client(verify=delivery.trust(sink.ca), timeout=sink.timeout, trust_env=False)
        self._headers = {
            "authorization": f"Splunk {configuration.secret(sink.token_file).decode()}",
            "content-type": "application/json",
            "x-splunk-request-channel": str(uuid.uuid4()),
        }

    def send(self, events: Sequence[AuditEvent]) -> None:
        """Return when the collector has acknowledged the events. Raises NotDelivered."""
        body = b"\n".join(msgspec.json.encode(self._wrapped(event)) for event in events)
        answer = self._post(self._sink.url, body)
        if answer.get("code", 0) != 0:
            raise NotDelivered(f"the collector says {answer.get('code')}: {str(answer.get('text'))[:200]}")
        if "ackId" in answer:
            self._wait_for(answer["ackId"])

    def _wrapped(self, event: AuditEvent) -> dict[str, object]:
        return {
            "time": datetime.fromisoformat(event.time).timestamp(), "host": self._host, "source": "cortexkg",
            "sourcetype": "cortexkg:audit", "event": event,
        }  # fmt: skip

    def _wait_for(self, ack: object) -> None:
        until = time.monotonic() + self._sink.timeout
        url = httpx.URL(self._sink.url).copy_with(path="/services/collector/ack")
        while time.monotonic() < until:
            acks = self._post(url, msgspec.json.encode({"acks": [ack]})).get("acks")
            if isinstance(acks, dict) and acks.get(str(ack)) is True:
                return
            time.sleep(ACK_PAUSE)
        raise NotDelivered("the indexer did not acknowledge the events in time")

    def _post(self, url: str | httpx.URL, body: bytes) -> dict[str, object]:
        answer = delivery.post(self._client, url, body, self._headers, self._sink.timeout)
        try:
            return msgspec.json.decode(answer, type=dict[str, object])
        except ValueError as error:
            raise NotDelivered(f"the answer is not a collector's: {error}") from error
