"""A front door as its clients see it: whether a ready node answers, and how long its certificate lasts."""

from __future__ import annotations

import http.client
import ssl
import time

from cortexctl.probing.doors import Door
from cortexctl.probing.look import Look

TIMEOUT = 5.0
DAY = 86_400
SOON_DAYS = 7.0


def look(door: Door) -> Look:
    """Ask a door once. A certificate's last day is not healthy, its last week a warning."""
    context = ssl.create_default_context(cafile=str(door.ca))
    connection = http.client.HTTPSConnection(*door.place, context=context, timeout=TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        days = _days_left(connection)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return Look((door.url,), (f"{door.url} does not answer: {error or type(error).__name__}",), ())
    finally:
        connection.close()
    ending = f"The certificate of {door.url} expires in {days:.1f} days"
    reasons = [f"No node behind {door.url} is ready: it answers {status}"] if status != 200 else []
    reasons += [ending] if days < 1 else []
    return Look((door.url,), tuple(reasons), (ending,) if 1 <= days < SOON_DAYS else ())


def _days_left(connection: http.client.HTTPSConnection) -> float:
    assert isinstance(connection.sock, ssl.SSLSocket)
    shown = connection.sock.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) / DAY
