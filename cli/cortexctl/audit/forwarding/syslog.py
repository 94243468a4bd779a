"""Syslog (RFC 5424) over TLS (RFC 5425), each message behind its length.

Syslog acknowledges nothing. So a batch is a connection that is closed in order: the receiver's own
close_notify says that its end has read all that came before ours. One that ends a connection in another way
gets the batch again.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

import msgspec

from cortex_runtime.formats.messages import AuditEvent
from cortexctl.audit.forwarding import delivery
from cortexctl.audit.forwarding.configuration import SyslogSink
from cortexctl.audit.forwarding.delivery import NotDelivered
from cortexctl.errors import UsageError

FACILITY = 13  # log audit
INFORMATIONAL, WARNING = 6, 4
ENTERPRISE = 32473  # for documentation (RFC 5612)
_NOT_ASCII = re.compile(r"[^!-~]")
_ESCAPED = re.compile(r'(["\\\]])')


class SyslogSender:
    """Sends to one receiver."""

    def __init__(self, sink: SyslogSink, host: str) -> None:
        self._sink, self._host = sink, host
        self._context = delivery.trust(sink.ca)
        if sink.certificate:
            try:
                self._context.load_cert_chain(sink.certificate, sink.key)
            except OSError as error:
                raise UsageError(
                    f"{sink.certificate} cannot be used.", why=str(error), todo="Mend the paths of the sink."
                ) from error

    def send(self, events: Sequence[AuditEvent]) -> None:
        """Return when the receiver has read the events. Raises NotDelivered."""
        place, timeout = (self._sink.host, self._sink.port), self._sink.timeout
        content = b"".join(framed(message(event, self._host)) for event in events)
        try:
            with socket.create_connection(place, timeout) as plain:
                secured = self._context.wrap_socket(plain, server_hostname=self._sink.host)
                secured.sendall(content)
                secured.unwrap().close()
        except (OSError, ValueError) as error:  # ssl.SSLError is one of the first
            raise NotDelivered(str(error) or type(error).__name__) from error


def message(event: AuditEvent, host: str) -> bytes:
    """Return a message of RFC 5424: the fields as structured data, and the event as JSON."""
    severity = INFORMATIONAL if event.result == "done" else WARNING
    fields = msgspec.to_builtins(event)
    data = " ".join(f'{name}="{escaped(str(value))}"' for name, value in fields.items() if value is not None)
    head = (
        f"<{FACILITY * 8 + severity}>1 {event.time} {_word(host, 255)} cortexkg - {_word(event.action, 32)}"
        f" [audit@{ENTERPRISE} {data}] "
    )
    return head.encode() + msgspec.json.encode(event)


def framed(content: bytes) -> bytes:
    """Return a message behind its length (RFC 5425, 4.3.1)."""
    return b"%d %b" % (len(content), content)


def escaped(value: str) -> str:
    """Return a parameter's value with a backslash before what would end it (RFC 5424, 6.3.3)."""
    return _ESCAPED.sub(r"\\\1", value)


def _word(value: str, longest: int) -> str:
    return _NOT_ASCII.sub("_", value)[:longest] or "-"
