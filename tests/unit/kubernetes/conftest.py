"""A cluster's API server, for each test anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cortexctl.platforms.kubernetes import api
from cortexctl.platforms.kubernetes.api import Cluster
from unit.kubernetes.apiserver import ApiServer, serving
from unit.kubernetes.objects import NAMESPACE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A server that has nothing yet."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(server: ApiServer) -> Cluster:
    """The way to it, by a kubeconfig."""
    return api.connect(NAMESPACE, kubeconfig=server.kubeconfig())
