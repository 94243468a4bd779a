"""Asking: several connections at a steady pace for some seconds, one write after every nine reads.

A request is due at a set time, and its latency counts from then: one that waits behind a slow one is slow
too, and a service that stalls cannot hide it by being asked less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cortex_runtime.client import ApiError, Client, ClientError
from cortex_runtime.formats.messages import BatchResponse, ConceptBody, QueryRequest, QueryResponse
from cortexctl.access import cortex_path
from cortexctl.load.figures import Sample

CORTEX = "load"
TIMEOUT = 10.0
WRITE_EVERY = 10
CONCEPTS = 50  # a connection: they are written again and again, so that loads do not heap up
WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "heron", "ivory", "juniper", "kelp")


def drive(
    connect: Callable[[], Client], tenant: str, *, connections: int, rate: float, seconds: float
) -> tuple[list[Sample], float]:
    """Ask `rate` times a second for `seconds`, over so many connections.

    Returns what each request took, and the seconds from the first one to the last answer.

    At most four minutes, since connections log in once. It ends 10 s later at the latest, the time that a
    request has. Raises ClientError when a connection
    cannot log in.
    """
    clients = [connect() for _ in range(connections)]
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(connections) as pool:
            runs = [
                pool.submit(_run, client, tenant, index, began + index / rate, connections / rate, seconds)
                for index, client in enumerate(clients)
            ]
            samples = [sample for run in runs for sample in run.result()]
        return samples, max(seconds, time.monotonic() - began)
    finally:
        for client in clients:
            client.close()


def _run(
    client: Client, tenant: str, index: int, first: float, interval: float, seconds: float
) -> list[Sample]:
    samples: list[Sample] = []
    end = first + seconds
    due = first
    while due < end and time.monotonic() < end:
        time.sleep(max(due - time.monotonic(), 0.0))
        number = len(samples)
        kind = "write" if number % WRITE_EVERY == 0 else "read"
        failure = _ask(client, tenant, kind, index, number)
        samples.append(Sample(kind, time.monotonic() - due, failure))
        due += interval
    return samples


def _ask(client: Client, tenant: str, kind: str, index: int, number: int) -> str:
    """Ask once; return what failed."""
    text = f"{WORDS[number % len(WORDS)]} {WORDS[number // len(WORDS) % len(WORDS)]} of connection {index}"
    try:
        if kind == "write":
            path = cortex_path(tenant, CORTEX, "concepts", f"{index}-{number // WRITE_EVERY % CONCEPTS}")
            client.request("PUT", path, ConceptBody(text=text), type=BatchResponse)
        else:
            path = cortex_path(tenant, CORTEX, "query")
            client.request("POST", path, QueryRequest(text=text), type=QueryResponse)
    except ApiError as error:
        return f"{error.status} {error.code}"
    except (ClientError, ValueError) as error:
        return str(error)[:200]
    return ""
