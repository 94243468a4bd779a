"""The node that is attacked: it owns all slots of a database, and has the tenants acme and other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit import postgres
from unit.server.node import Node, running


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that no other tests have: what is done to it may leave traces."""
    with (
        postgres.running(tmp_path_factory.mktemp("postgres")) as port,
        running(tmp_path_factory.mktemp("node"), port) as made,
    ):
        yield made
