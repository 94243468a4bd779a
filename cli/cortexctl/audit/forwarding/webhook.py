"""Webhooks: signed JSON to an address of the public internet, unless a private one is allowed.

    POST  {"events": [...]}
    cortexkg-signature: t=SECONDS,v1=HEX      HMAC-SHA256 under the secret of "SECONDS." and the body

The name is resolved once, every address is checked, and the connection goes to a checked address: a name
that answers differently the next time (DNS rebinding) wins nothing. Redirects are not followed.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
import time
from collections.abc import Sequence

import httpx
import msgspec

from cortex_runtime.formats.messages import AuditEvent
from cortexctl.audit.forwarding import configuration, delivery
from cortexctl.audit.forwarding.configuration import WebhookSink
from cortexctl.audit.forwarding.delivery import NotDelivered


class WebhookSender:
    """Sends to one webhook."""

    def __init__(self, sink: WebhookSink) -> None:
        self._sink, self._url = sink, httpx.URL(sink.url)
        self._secret = configuration.secret(sink.secret_file)
        # No connection outlives a batch: each goes to an address that was checked for it.
        self._client = httpx.Client(
            verify=delivery.trust(sink.ca), timeout=sink.timeout, trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip

    def send(self, events: Sequence[AuditEvent]) -> None:
        """Return when the webhook has answered with a success. Raises NotDelivered."""
        body = msgspec.json.encode({"events": events})
        host, port = self._url.host, self._url.port or 443
        headers = {
            "content-type": "application/json", "host": self._url.netloc.decode(),
            "cortexkg-signature": signature(self._secret, body, int(time.time())),
        }  # fmt: skip
        url = self._url.copy_with(host=address_of(host, port, allow_private=self._sink.allow_private))
        delivery.post(self._client, url, body, headers, self._sink.timeout, sni_hostname=host)


def signature(secret: bytes, body: bytes, now: int) -> str:
    """Return the value of the header that signs a body."""
    return f"t={now},v1={hmac.digest(secret, f'{now}.'.encode() + body, 'sha256').hex()}"


def address_of(host: str, port: int, *, allow_private: bool) -> str:
    """Return an address of a host. Raises NotDelivered when it has none, or one that is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} has no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private:
        for address in addresses:
            if not _is_public(address):
                raise NotDelivered(f"{host} is {address}, which is not public, and allow_private is not set")
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if inner:
            return _is_public(str(inner))
        if found in _NAT64:
            return _is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
