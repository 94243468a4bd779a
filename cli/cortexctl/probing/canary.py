"""A canary: one concept, written anew and read again through a front door, as its tenant."""

from __future__ import annotations

import secrets

from cortex_runtime.client import ClientError
from cortex_runtime.formats.messages import BatchResponse, Concept, ConceptBody
from cortexctl.access import cortex_path
from cortexctl.probing.doors import Door
from cortexctl.probing.look import Look

TIMEOUT = 5.0
# Always the same one, in a cortex of its own: however often it is looked, one concept is all that it leaves.
CORTEX, CONCEPT = "health", "canary"


def look(door: Door, tenant: str, key: str) -> Look:
    """Write and read once. An acknowledged write says that the primary and its quorum are there."""
    name = f"canary of {tenant} at {door.url}"
    path = cortex_path(tenant, CORTEX, "concepts", CONCEPT)
    text = f"canary {secrets.token_hex(8)}"
    try:
        with door.tenant(tenant, key, timeout=TIMEOUT) as client:
            written = client.request("PUT", path, ConceptBody(text=text), type=BatchResponse)
            read = client.request("GET", path, type=Concept, position=written.position)
    except (ClientError, ValueError) as error:  # an answer that cannot be read is none
        return Look((name,), (f"The {name} failed: {error}",), ())
    if read.text != text:
        return Look((name,), (f"The {name} read {read.text!r} instead of {text!r}",), ())
    return Look((name,), (), ())
