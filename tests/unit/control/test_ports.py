"""Blocks of ports, against the real kernel."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortexctl import deployment, ports
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused

SIZE = 160


def recorded(home: Path, name: str, first_port: int) -> Deployment:
    regions = {"eu-west": 1, "us-east": 1, "ap-south": 1}
    made = Deployment(name, f"{name}-1", "small", "local", first_port, regions, home / name)
    made.directory.mkdir()
    (made.directory / "deployment.yaml").write_text(deployment.dump(made))
    return made


@pytest.fixture
def listener() -> Iterator[int]:
    """Return a port on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_block_is_free_and_of_no_other_deployment(home: Path) -> None:
    firsts = []
    for index in range(4):
        first = ports.choose_block(home, "trial", SIZE)
        made = recorded(home, f"trial-{index}", first)
        assert made.last_port == first + SIZE - 1
        firsts.append(first)
    assert len(set(firsts)) == 4
    assert all(abs(a - b) >= SIZE for a in firsts for b in firsts if a != b)
    assert all(20_000 <= first <= 32_000 - SIZE for first in firsts)


def test_a_block_with_a_port_in_use_is_passed_over(home: Path) -> None:
    first = ports.choose_block(home, "trial", SIZE)
    with socket.create_server(("127.0.0.1", first + 77)):
        assert ports.choose_block(home, "trial", SIZE) != first
    assert ports.choose_block(home, "trial", SIZE) == first


def test_a_damaged_neighbour_does_not_matter(home: Path) -> None:
    for name, content in (("a", "{"), ("b", "- 1"), ("c", "name: c")):
        (home / name).mkdir()
        (home / name / "deployment.yaml").write_text(content)
    assert ports.choose_block(home, "trial", SIZE)


def test_no_block_left(home: Path) -> None:
    with pytest.raises(Refused, match="free ports"):
        ports.choose_block(home, "trial", 12_001)


def test_a_port_in_use_is_named_with_its_process(listener: int) -> None:
    assert ports.in_use([listener]) == [listener]
    with pytest.raises(Refused, match=f"Port {listener} is in use") as caught:
        ports.check_free([listener])
    assert f"Process {os.getpid()}" in caught.value.why


def test_a_port_of_a_closed_connection_is_free(listener: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # this side closes first, and lingers
        client.close()
    ports.check_free([port])


def test_a_wildcard_listener_counts() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert ports.in_use([server.getsockname()[1]])
