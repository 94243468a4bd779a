"""scripts/environment.sh in small checkouts of its own: real environments, real pip, empty lock files."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
PROGRAM = "import sys; print(sys.argv[1:], sys.stdin.read())\n"


class Checkout:
    """A checkout whose cortexctl prints its arguments and whose locks name nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "scripts").mkdir(parents=True)
        for name in ("environment.sh", "cortexctl"):
            shutil.copy(SCRIPTS / name, directory / "scripts")
        (directory / "locks").mkdir()
        for name in ("build", "runtime", "postgres", "terraform"):
            (directory / "locks" / f"{name}.lock").write_text("")
        (directory / "cli" / "cortexctl").mkdir(parents=True)
        (directory / "cli" / "cortexctl" / "main.py").write_text(PROGRAM)
        (directory / "runtime").mkdir()

    @property
    def venv(self) -> Path:
        return self.directory / ".venv"

    def start(self, *prefix: str, path: str = os.environ["PATH"]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, str(self.directory / "scripts" / "cortexctl"), "a b", "ä"],
            env={"PATH": path, "LC_ALL": "C.UTF-8"}, cwd="/", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *prefix: str, path: str = os.environ["PATH"]) -> tuple[int, str, str]:
        process = self.start(*prefix, path=path)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


GOOD = (0, "['a b', 'ä'] \n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout with its environment, in a directory with a space and an umlaut."""
    checkout = Checkout(tmp_path_factory.mktemp("bootstrap") / "a cl öne")
    code, out, err = checkout.run()
    assert (code, out) == GOOD, err
    assert "Making the virtual environment" in err
    return checkout


@pytest.mark.slow
def test_is_silent_when_all_is_there(made: Checkout) -> None:
    assert made.run() == (*GOOD, "")


@pytest.mark.slow
def test_installs_again_when_a_lock_changes(made: Checkout) -> None:
    stays = made.venv / "stays"
    stays.write_text("")
    (made.directory / "locks" / "runtime.lock").write_text("# changed\n")
    code, out, err = made.run()
    assert (code, out) == GOOD
    assert "Installing the locked dependencies" in err
    assert stays.exists()
    assert made.run() == (*GOOD, "")


@pytest.mark.exhaustive
def test_two_at_once_install_once(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "two")
    several = [checkout.start(), checkout.start()]
    answers = [(*process.communicate(timeout=120), process.returncode) for process in several]
    assert [(code, out) for out, _, code in answers] == [GOOD, GOOD]
    assert sum("Making the virtual environment" in err for _, err, _ in answers) == 1


@pytest.mark.exhaustive
def test_a_checkout_that_was_moved(made: Checkout, tmp_path: Path) -> None:
    moved = Checkout(tmp_path / "moved")
    shutil.copytree(made.venv, moved.venv, symlinks=True)
    shutil.copytree(made.directory / "locks", moved.directory / "locks", dirs_exist_ok=True)
    code, out, err = moved.run()
    assert (code, out) == GOOD
    assert "Making the virtual environment" in err


@pytest.mark.slow
def test_a_pip_that_fails_says_why_and_the_next_run_begins_anew(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "pip")
    lock = checkout.directory / "locks" / "runtime.lock"
    lock.write_text(f"cortexkg-no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    code, out, err = checkout.run()
    assert (code, out) == (5, "")
    assert "cortexkg-no-such-package" in err
    assert "install.log" in err
    lock.write_text("")
    code, out, err = checkout.run()
    assert (code, out) == GOOD
    assert "Making the virtual environment" in err


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a directory with what the script needs of the system, but no Python."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("bash", "cat", "cut", "dirname", "flock", "grep", "id", "mv", "readlink", "rm", "sha256sum"):
        (directory / name).symlink_to(shutil.which(name) or name)
    return directory


def test_no_python(tmp_path: Path, bare: Path) -> None:
    checkout = Checkout(tmp_path / "none")
    for version in ("python3", "python3.11"):
        code, out, err = checkout.run(path=str(bare))
        assert (code, out) == (5, "")
        assert "There is no Python 3.11 or newer" in err
        assert "apt-get install python3 python3-venv" in err
        (bare / version).write_text("#!/bin/sh\nexit 1\n")  # too old, the next time
        (bare / version).chmod(0o755)


def test_a_python_without_venv(tmp_path: Path, bare: Path) -> None:
    (bare / "python3").write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 0 ;; esac\nexit 1\n')
    (bare / "python3").chmod(0o755)
    code, out, err = Checkout(tmp_path / "none").run(path=str(bare))
    assert (code, out) == (5, "")
    assert "cannot make virtual environments" in err
    assert "apt-get install python3-venv" in err


@pytest.fixture
def closed() -> Iterator[Checkout]:
    """Return a checkout that everybody can read and only its owner can write."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Checkout(Path(directory) / "closed")


def test_a_checkout_that_is_not_writable(closed: Checkout) -> None:
    somebody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        somebody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    else:
        closed.directory.chmod(0o555)
    code, out, err = closed.run(*somebody, path=os.defpath)
    assert (code, out) == (5, "")
    assert "is not writable" in err
