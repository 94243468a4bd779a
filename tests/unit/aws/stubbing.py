"""A client whose answers are the test's: botocore holds them, and what is asked, against AWS' own shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.stub import Stubber

from cortexctl.platforms.aws import account


@contextmanager
def stubbed(service: str, region: str) -> Iterator[tuple[Any, Stubber]]:
    """Yield a client and its stub; whatever was to be asked must have been."""
    client = account.client(service, region)
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()
