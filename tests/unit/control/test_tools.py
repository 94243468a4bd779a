"""Finding programs: versions that do, and the private prefix out of the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cortexctl import tools
from cortexctl.errors import ToolMissing


@pytest.fixture
def directory(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only directory on the PATH, with what tells a version."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(tools, "SYSTEM", ())
    return directory


def program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize("says", ["etcd Version: 3.4.23", "etcd Version: 3.5.3", "etcd Version: 3.6.0"])
def test_a_version_that_does(directory: Path, says: str) -> None:
    program(directory / "etcd", says)
    assert tools.find("etcd") == tools.Tool(directory / "etcd")


@pytest.mark.parametrize("says", ["etcd Version: 3.3.25", "3.5.0", "3.5.1", "3.5.2", "no version"])
def test_a_version_that_does_not_without_apt(directory: Path, says: str) -> None:
    program(directory / "etcd", says)
    with pytest.raises(ToolMissing, match="etcd is missing") as caught:
        tools.find("etcd")
    assert "3.4 or newer, but not 3.5.0, 3.5.1, 3.5.2" in caught.value.todo


def test_apt_without_its_sources(directory: Path) -> None:
    program(directory / "dpkg", "")
    (directory / "apt-get").write_text("#!/bin/sh\necho 'E: Unable to locate package haproxy'\nexit 100\n")
    (directory / "apt-get").chmod(0o755)
    with pytest.raises(ToolMissing, match="fetching it failed") as caught:
        tools.find("haproxy")
    assert "Unable to locate package haproxy" in caught.value.why
    assert [path.name for path in tools.tools_directory().iterdir()] == [".lock"]


def test_terraform_before_tofu_before_the_wheel(directory: Path) -> None:
    assert tools.find_terraform() == Path(sys.executable).with_name("cortex-terraform")
    program(directory / "tofu", "")
    assert tools.find_terraform() == directory / "tofu"
    program(directory / "terraform", "")
    assert tools.find_terraform() == directory / "terraform"


@pytest.mark.skipif(not shutil.which("apt-get"), reason="the distribution has no apt-get")
def test_two_at_once_fetch_from_the_distribution(home: Path) -> None:
    code = (
        "import sys; from cortexctl import tools; tools._installed = lambda *_: None;"
        "tool = tools.find('haproxy'); print(tool.path, tool.environment)"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = {process.communicate()[0] for process in several}
    assert len(answers) == 1
    assert str(home / ".tools" / "haproxy") in answers.pop()
    assert sorted(path.name for path in (home / ".tools").iterdir()) == [".lock", "haproxy"]
    tool = tools._unpacked("haproxy", tools.WANTED["haproxy"])
    assert tool is not None
    done = subprocess.run(
        [tool.path, "-vv"], env=os.environ | tool.environment, text=True, capture_output=True, check=True
    )
    assert "OpenSSL" in done.stdout
