"""Asks the node of a configuration how it is: whoever starts nodes has no certificate to show them.

It is run every few seconds, so it loads the standard library alone: a tenth of a second of a processor.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

TIMEOUT = 5.0
READY = 200
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what it listens on, not what we do  # nosec B104


def probe(path: Path, *, alive: bool) -> str | None:
    """Return why the node is not ready, or with `alive` why it does not even answer; None when it is."""
    try:
        status = _ask(json.loads(path.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        return f"The node does not answer: {error!r}"
    return None if alive or status == READY else "The node is not ready."


def _ask(config: dict[str, Any]) -> int:
    tls = config["tls"]
    context = ssl.create_default_context(cafile=tls["ca"])
    context.load_cert_chain(tls["certificate"], tls["key"])
    context.check_hostname = False  # it is asked by its address; the certificate has its name
    listen = config.get("listen") or config["host"]
    connection = http.client.HTTPSConnection(
        EVERYWHERE.get(listen, listen), int(config["port"]), timeout=TIMEOUT, context=context
    )
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()
