"""One small deployment for the whole run, made by the real command line and always taken down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortexctl import deployment as deployments
from integration.running import CORTEXCTL, Running, unique

# As scripts/cortexctl installs a deployment: without numba, which the tests' environment has.
os.environ["CORTEX_KERNELS"] = "numpy"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here: it needs the deployment, or makes its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.deployment)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A small deployment: three regions of one node."""
    home = tmp_path_factory.mktemp("home with ü")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_STATE_HOME", str(home / "state"))
    patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    name = unique("test")
    words: list[str | Path] = [CORTEXCTL, "--deployment", name]
    try:
        subprocess.run([*words, "up", "--profile", "small", "--yes"], check=True, stdin=subprocess.DEVNULL)
        yield Running(deployments.load(name))
    finally:
        if os.environ.get("CORTEXKG_TEST_KEEP"):
            print(f"kept: XDG_STATE_HOME={home / 'state'} cortexctl --deployment {name}")
        else:
            _print_logs(home)
            subprocess.run([*words, "down", "--yes", "--delete-data"], check=True, stdin=subprocess.DEVNULL)
        patch.undo()


@pytest.fixture
def tenant(running: Running) -> str:
    """A new tenant of the deployment, which is healthy."""
    running.healthy()
    name = unique("t")
    running.run("tenant", "onboard", name)
    return name


def _print_logs(home: Path) -> None:
    """Show the ends of the logs; pytest prints them when something failed."""
    for path in sorted(home.glob("state/cortexkg/*/regions/*/log/*.log")):
        lines = path.read_text(errors="replace").splitlines()
        print(f"--- {path}", *lines[-15:], sep="\n")
